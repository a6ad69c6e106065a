-- 1 query

SELECT DATE_TRUNC('month', academy_enrollment.enrolled_on) AS month,
       COUNT(academy_enrollment.id) AS people,
       AVG(academy_enrollment.grade) AS average
FROM academy_enrollment
GROUP BY 1
ORDER BY 1 ASC;
