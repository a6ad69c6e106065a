-- 1 query

SELECT ARRAY_AGG(academy_course.title
                 ORDER BY academy_course.title DESC) AS titles
FROM academy_course;
