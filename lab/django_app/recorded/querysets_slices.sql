-- 1 query

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 3
OFFSET 3;
