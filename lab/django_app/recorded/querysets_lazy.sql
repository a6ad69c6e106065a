-- 1 query

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.published
       AND NOT (academy_course.level = 'advanced'))
ORDER BY academy_course.starts_on DESC;
