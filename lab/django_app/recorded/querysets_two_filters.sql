-- 1 query

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
INNER JOIN academy_enrollment ON (academy_course.id = academy_enrollment.course_id)
INNER JOIN academy_learner ON (academy_enrollment.learner_id = academy_learner.id)
INNER JOIN academy_enrollment T4 ON (academy_course.id = T4.course_id)
WHERE (academy_learner.name = 'Ama'
       AND T4.grade >= 70)
ORDER BY academy_course.title ASC,
         academy_course.id ASC;
