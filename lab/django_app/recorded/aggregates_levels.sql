-- 1 query

SELECT academy_course.level AS level,
       COUNT(academy_course.id) AS courses,
       SUM(academy_course.seats) AS places
FROM academy_course
GROUP BY 1
HAVING SUM(academy_course.seats) >= 70
ORDER BY 1 ASC;
