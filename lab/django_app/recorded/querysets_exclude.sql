-- 1 query

SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
WHERE NOT (academy_enrollment.grade < 60
           AND academy_enrollment.grade IS NOT NULL)
ORDER BY academy_enrollment.enrolled_on ASC,
         academy_enrollment.id ASC;
