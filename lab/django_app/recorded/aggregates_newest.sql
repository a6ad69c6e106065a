-- 1 query

SELECT academy_course.title AS title,

  (SELECT U2.name AS learner__name
   FROM academy_enrollment U0
   INNER JOIN academy_learner U2 ON (U0.learner_id = U2.id)
   WHERE U0.course_id = (academy_course.id)
   ORDER BY U0.enrolled_on DESC,
            U0.id DESC
   LIMIT 1) AS last
FROM academy_course
WHERE EXISTS
    (SELECT 1 AS a
     FROM academy_certificate U0
     INNER JOIN academy_enrollment U1 ON (U0.enrollment_id = U1.id)
     WHERE U1.course_id = (academy_course.id)
     LIMIT 1)
ORDER BY 1 ASC,
         academy_course.id ASC;
