-- 2 queries

SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
WHERE academy_enrollment.id = 1
LIMIT 21;

UPDATE academy_enrollment
SET learner_id = 1,
    course_id = 2,
    enrolled_on = '2026-01-09'::date,
    grade = 60
WHERE academy_enrollment.id = 1;
