-- 2 queries

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.published
       AND academy_course.slug = 'databases')
LIMIT 21;

SELECT academy_lesson.id, /* 3 more */ academy_lesson.minutes
FROM academy_lesson
WHERE academy_lesson.course_id = 1
ORDER BY academy_lesson.course_id ASC,
         academy_lesson.position ASC;
