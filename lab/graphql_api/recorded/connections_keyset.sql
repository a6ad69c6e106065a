-- 1 query

SELECT academy_course.id,
       academy_course.title
FROM academy_course
WHERE (academy_course.published
       AND (academy_course.title > 'Databases'
            OR (academy_course.title = 'Databases'
                AND academy_course.id > 1)))
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 3;
