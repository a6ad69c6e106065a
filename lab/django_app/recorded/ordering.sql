-- 2 queries

SELECT academy_enrollment.id AS pk
FROM academy_enrollment
INNER JOIN academy_course ON (academy_enrollment.course_id = academy_course.id)
ORDER BY academy_course.title ASC,
         academy_course.id ASC;

SELECT academy_enrollment.id AS pk
FROM academy_enrollment
ORDER BY academy_enrollment.course_id ASC;
