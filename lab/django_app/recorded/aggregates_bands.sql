-- 1 query

SELECT CASE
           WHEN academy_enrollment.grade IS NULL THEN 'none yet'
           WHEN academy_enrollment.grade >= 80 THEN 'good'
           WHEN academy_enrollment.grade >= 60 THEN 'passed'
           ELSE 'failed'
       END AS band,
       COUNT(academy_enrollment.id) AS number
FROM academy_enrollment
GROUP BY 1
ORDER BY 1 ASC;
