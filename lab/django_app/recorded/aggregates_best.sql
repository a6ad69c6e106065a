-- 1 query

SELECT col1,
       col2,
       col3,
       col4,
       col5,
       place
FROM
  (SELECT *
   FROM
     (SELECT academy_enrollment.id AS col1,
             academy_enrollment.learner_id AS col2,
             academy_enrollment.course_id AS col3,
             academy_enrollment.enrolled_on AS col4,
             academy_enrollment.grade AS col5,
             RANK() OVER (PARTITION BY academy_enrollment.course_id
                          ORDER BY academy_enrollment.grade DESC) AS place,
             academy_course.title AS qual0
      FROM academy_enrollment
      INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
      WHERE NOT (academy_enrollment.grade IS NULL)
      ORDER BY academy_course.title ASC,
               6 ASC,
               academy_enrollment.id ASC) qualify
   WHERE place <= 1) qualify_mask
ORDER BY qual0 ASC,
         6 ASC,
         col1 ASC;
