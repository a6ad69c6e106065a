-- 2 queries

SELECT COUNT(*) AS __count
FROM academy_user
WHERE NOT (academy_user.id IN
             (SELECT U0.teacher_id AS teacher
              FROM academy_course U0));

SELECT COUNT(*) AS __count
FROM academy_user
WHERE NOT EXISTS
    (SELECT 1 AS a
     FROM academy_course U0
     WHERE U0.teacher_id = (academy_user.id)
     LIMIT 1);
