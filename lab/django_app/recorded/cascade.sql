-- 4 queries

SELECT academy_enrollment.id
FROM academy_enrollment
WHERE academy_enrollment.course_id IN (11)
ORDER BY academy_enrollment.enrolled_on ASC,
         academy_enrollment.id ASC;

DELETE
FROM academy_course_tags
WHERE academy_course_tags.course_id IN (11);

DELETE
FROM academy_lesson
WHERE academy_lesson.course_id IN (11);

DELETE
FROM academy_course
WHERE academy_course.id IN (11);
