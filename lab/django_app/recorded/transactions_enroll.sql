-- 6 queries

BEGIN;

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE academy_course.id = 3
LIMIT 21
FOR UPDATE;

SELECT 1 AS a
FROM academy_enrollment
WHERE (academy_enrollment.course_id = 3
       AND academy_enrollment.learner_id = 2)
LIMIT 1;

SELECT COUNT(*) AS __count
FROM academy_enrollment
WHERE academy_enrollment.course_id = 3;

INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on, grade)
VALUES (2, 3, '2026-11-23'::date, NULL)
RETURNING academy_enrollment.id;

COMMIT;
