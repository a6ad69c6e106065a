-- 1 query

SELECT ARRAY_AGG(academy_course.title) AS titles
FROM academy_course;
