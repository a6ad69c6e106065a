-- 1 query

SELECT academy_course.id,
       academy_course.title,
       (academy_course.seats - COUNT(academy_enrollment.id)) AS free_seats
FROM academy_course
LEFT OUTER JOIN academy_enrollment ON (academy_course.id = academy_enrollment.course_id)
GROUP BY academy_course.id
ORDER BY academy_course.title ASC,
         academy_course.id ASC;
