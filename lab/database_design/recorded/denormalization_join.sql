-- 4 queries

BEGIN;

UPDATE academy_course
SET taken = (academy_course.taken + 1)
WHERE academy_course.id = 3;

INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on, grade)
VALUES (2, 3, '2026-11-23'::date, NULL)
RETURNING academy_enrollment.id;

COMMIT;
