-- 0002
BEGIN;
ALTER TABLE academy_course ADD COLUMN slug varchar(140) NULL UNIQUE;
CREATE INDEX academy_course_slug_8a84aea3_like ON academy_course (slug varchar_pattern_ops);
COMMIT;

-- 0004
BEGIN;
ALTER TABLE academy_course
ALTER COLUMN slug
SET NOT NULL;
COMMIT;
