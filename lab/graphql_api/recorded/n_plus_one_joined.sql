-- 1 query

SELECT academy_enrollment.id, /* 3 more */ academy_course.title
FROM academy_enrollment
INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
ORDER BY academy_enrollment.enrolled_on ASC,
         academy_enrollment.id ASC;
