-- 1 query

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.published
       AND academy_course.id < 8)
ORDER BY academy_course.id DESC
LIMIT 3;
