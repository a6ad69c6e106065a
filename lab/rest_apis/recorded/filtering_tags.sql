-- 1 query

SELECT DISTINCT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
INNER JOIN academy_course_tags ON (academy_course.id = academy_course_tags.course_id)
INNER JOIN academy_tag ON (academy_course_tags.tag_id = academy_tag.id)
WHERE (academy_course.published
       AND (academy_tag.name = 'data'
            OR academy_tag.name = 'web'))
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 7;
