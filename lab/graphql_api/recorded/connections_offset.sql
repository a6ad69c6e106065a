-- 1 query

SELECT academy_course.id,
       academy_course.title
FROM academy_course
WHERE academy_course.published
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 3
OFFSET 2;
