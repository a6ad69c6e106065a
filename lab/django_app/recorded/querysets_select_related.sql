-- 1 query

SELECT academy_enrollment.id, /* 18 more */ academy_course.teacher_id
FROM academy_enrollment
INNER JOIN academy_learner ON (academy_enrollment.learner_id = academy_learner.id)
INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
ORDER BY academy_enrollment.enrolled_on ASC,
         academy_enrollment.id ASC;
