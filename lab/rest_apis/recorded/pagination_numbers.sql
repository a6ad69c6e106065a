-- 2 queries

SELECT COUNT(*) AS __count
FROM academy_course
WHERE academy_course.published;

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE academy_course.published
ORDER BY academy_course.id DESC
LIMIT 2
OFFSET 2;
