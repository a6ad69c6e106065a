-- 1 query

SELECT academy_course.title AS title,
       COUNT(academy_lesson.id) AS parts,
       COUNT(academy_enrollment.id) AS people,
       SUM(academy_lesson.minutes) AS minutes
FROM academy_course
LEFT OUTER JOIN academy_lesson ON (academy_course.id = academy_lesson.course_id)
LEFT OUTER JOIN academy_enrollment ON (academy_course.id = academy_enrollment.course_id)
GROUP BY academy_course.id;
