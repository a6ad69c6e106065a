-- 1 query

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id,
       COUNT(academy_enrollment.id) AS people
FROM academy_course
LEFT OUTER JOIN academy_enrollment ON (academy_course.id = academy_enrollment.course_id)
GROUP BY academy_course.id;
