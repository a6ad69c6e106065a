-- 1 query

SELECT COUNT(academy_enrollment.id) AS number,
       COUNT(academy_enrollment.grade) AS graded,
       AVG(academy_enrollment.grade) AS average,
       MAX(academy_enrollment.grade) AS best
FROM academy_enrollment;
