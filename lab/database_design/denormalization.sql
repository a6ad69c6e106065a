-- What Django's migrations do not write: a trigger and a materialized view. PostgreSQL.

-- --8<-- [start:trigger]
CREATE FUNCTION count_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE academy_course SET taken = taken - 1
        WHERE id = OLD.course_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE academy_course SET taken = taken + 1
        WHERE id = NEW.course_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_taken
AFTER INSERT OR DELETE OR UPDATE OF course_id ON academy_enrollment
FOR EACH ROW EXECUTE FUNCTION count_taken();
-- --8<-- [end:trigger]

-- --8<-- [start:view]
CREATE MATERIALIZED VIEW course_sizes AS
SELECT c.id AS course, c.title, count(e.id) AS size
FROM academy_course AS c
LEFT JOIN academy_enrollment AS e ON e.course_id = c.id
GROUP BY c.id;

CREATE UNIQUE INDEX ON course_sizes (course);
CREATE INDEX ON course_sizes (size DESC, course);
-- --8<-- [end:view]
