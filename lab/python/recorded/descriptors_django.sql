-- 2 queries

SELECT academy_enrollment.id,
       academy_enrollment.grade
FROM academy_enrollment
WHERE academy_enrollment.id = 1
LIMIT 21;

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE academy_course.id = 2
LIMIT 21;
