-- the second of 2 queries

SELECT col1,
       col2,
       col3,
       _strawberry_row_number,
       _strawberry_total_count
FROM
  (SELECT *
   FROM
     (SELECT academy_enrollment.id AS col1,
             academy_enrollment.course_id AS col2,
             academy_enrollment.grade AS col3,
             ROW_NUMBER() OVER (PARTITION BY academy_enrollment.course_id
                                ORDER BY academy_enrollment.enrolled_on ASC, academy_enrollment.id ASC) AS _strawberry_row_number,
             COUNT(1) OVER (PARTITION BY academy_enrollment.course_id) AS _strawberry_total_count,
             academy_enrollment.enrolled_on AS qual0
      FROM academy_enrollment
      INNER JOIN academy_learner ON (academy_enrollment.learner_id = academy_learner.id)
      INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
      WHERE ((academy_learner.user_id = 11
              OR academy_course.teacher_id = 11)
             AND academy_enrollment.course_id IN (7, 1, 3, 6))
      ORDER BY academy_enrollment.enrolled_on ASC,
               academy_enrollment.id ASC) qualify
   WHERE _strawberry_row_number <= 2) qualify_mask
ORDER BY qual0 ASC,
         col1 ASC;
