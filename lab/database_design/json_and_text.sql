-- --8<-- [start:fulltext]
CREATE FULLTEXT INDEX course_words ON database_design_plaincourse (description);
-- --8<-- [end:fulltext]
