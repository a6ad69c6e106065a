ALTER TABLE academy_course ADD COLUMN room varchar(20) DEFAULT '' NOT NULL;
ALTER TABLE academy_course
ALTER COLUMN room
DROP DEFAULT;
ALTER TABLE academy_course ADD COLUMN price integer DEFAULT 0 NOT NULL;
