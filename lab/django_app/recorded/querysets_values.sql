-- 1 query

SELECT academy_course.title AS title,
       academy_course.seats AS seats
FROM academy_course
WHERE academy_course.published
ORDER BY academy_course.starts_on ASC
LIMIT 2;
