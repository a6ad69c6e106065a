-- 2 queries

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.published
       OR academy_course.teacher_id = 11)
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 101;

SELECT academy_lesson.id, /* 3 more */ academy_lesson.minutes
FROM academy_lesson
WHERE academy_lesson.course_id IN (7, 1, 3, 6, 5, 2, 10, 4, 9, 8)
ORDER BY academy_lesson.course_id ASC,
         academy_lesson.position ASC;
