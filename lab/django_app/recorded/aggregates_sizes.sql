-- 1 query

SELECT academy_course.title AS title,
       COALESCE(
                  (SELECT COUNT(U0.id) AS number
                   FROM academy_lesson U0
                   WHERE U0.course_id = (academy_course.id)
                   GROUP BY U0.course_id), 0) AS parts,
       COALESCE(
                  (SELECT COUNT(U0.id) AS number
                   FROM academy_enrollment U0
                   WHERE U0.course_id = (academy_course.id)
                   GROUP BY U0.course_id), 0) AS people,
       COALESCE(
                  (SELECT SUM(U0.minutes) AS number
                   FROM academy_lesson U0
                   WHERE U0.course_id = (academy_course.id)
                   GROUP BY U0.course_id), 0) AS minutes
FROM academy_course
ORDER BY 1 ASC,
         academy_course.id ASC;
