-- 1 query

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
INNER JOIN academy_enrollment ON (academy_course.id = academy_enrollment.course_id)
INNER JOIN academy_learner ON (academy_enrollment.learner_id = academy_learner.id)
WHERE (academy_enrollment.grade >= 70
       AND academy_learner.name = 'Ama')
ORDER BY academy_course.title ASC,
         academy_course.id ASC;
