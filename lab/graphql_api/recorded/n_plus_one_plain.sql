-- 11 queries; the first 3:

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.published
       OR academy_course.teacher_id = 11)
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 101;

SELECT academy_lesson.id, /* 3 more */ academy_lesson.minutes
FROM academy_lesson
WHERE academy_lesson.course_id = 7
ORDER BY academy_lesson.course_id ASC,
         academy_lesson.position ASC;

SELECT academy_lesson.id, /* 3 more */ academy_lesson.minutes
FROM academy_lesson
WHERE academy_lesson.course_id = 1
ORDER BY academy_lesson.course_id ASC,
         academy_lesson.position ASC;
