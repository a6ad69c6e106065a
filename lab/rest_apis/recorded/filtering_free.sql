-- 1 query

SELECT COUNT(*) AS __count
FROM academy_course
WHERE (academy_course.published
       AND COALESCE(
                      (SELECT COUNT(U0.id) AS number
                       FROM academy_enrollment U0
                       WHERE U0.course_id = (academy_course.id)
                       GROUP BY U0.course_id), 0) < (academy_course.seats));
