SELECT academy_enrollment.id, /* 3 more */ academy_enrollment.grade
FROM academy_enrollment
INNER JOIN academy_learner ON (academy_enrollment.learner_id = academy_learner.id)
INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
WHERE ((academy_learner.user_id = 2
        OR academy_course.teacher_id = 2)
       AND academy_enrollment.id = 1)
LIMIT 21;
