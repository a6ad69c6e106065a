-- 1 query

UPDATE academy_enrollment
SET grade = (CASE
                 WHEN (academy_enrollment.id = 1) THEN 70
                 WHEN (academy_enrollment.id = 2) THEN 71
                 WHEN (academy_enrollment.id = 3) THEN 72
                 ELSE NULL
             END)::smallint
WHERE academy_enrollment.id IN (1, 2, 3);
