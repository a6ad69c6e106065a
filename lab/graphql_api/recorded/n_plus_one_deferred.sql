-- 21 queries; the first 3:

SELECT academy_course.id,
       academy_course.title
FROM academy_course
ORDER BY academy_course.title ASC,
         academy_course.id ASC;

SELECT academy_course.id,
       academy_course.seats
FROM academy_course
WHERE academy_course.id = 7
LIMIT 21;

SELECT COUNT(*) AS __count
FROM academy_enrollment
WHERE academy_enrollment.course_id = 7;
