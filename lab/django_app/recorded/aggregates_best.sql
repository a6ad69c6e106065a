-- 1 query

SELECT course,
       grade,
       place
FROM
  (SELECT *
   FROM
     (SELECT academy_enrollment.course_id AS course,
             academy_enrollment.grade AS grade,
             RANK() OVER (PARTITION BY academy_enrollment.course_id
                          ORDER BY academy_enrollment.grade DESC) AS place,
             academy_course.title AS qual0,
             academy_enrollment.id AS qual1
      FROM academy_enrollment
      INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
      WHERE NOT (academy_enrollment.grade IS NULL)
      ORDER BY academy_course.title ASC,
               3 ASC,
               academy_enrollment.id ASC) qualify
   WHERE place <= 1) qualify_mask
ORDER BY qual0 ASC,
         3 ASC,
         qual1 ASC;
