-- 2 queries

SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
WHERE academy_enrollment.id = 1
LIMIT 21;

UPDATE academy_enrollment
SET grade = (COALESCE(academy_enrollment.grade, 0) + 10)
WHERE academy_enrollment.id = 1;
