-- 1 query

SELECT academy_course.title AS title,
       COUNT(academy_enrollment.id) FILTER (WHERE academy_enrollment.grade >= 60) AS passed,
       COUNT(academy_enrollment.id) FILTER (WHERE academy_enrollment.grade < 60) AS failed,
       COUNT(academy_enrollment.id) FILTER (WHERE academy_enrollment.grade IS NULL) AS waiting
FROM academy_course
LEFT OUTER JOIN academy_enrollment ON (academy_course.id = academy_enrollment.course_id)
GROUP BY academy_course.id
ORDER BY 1 ASC;
