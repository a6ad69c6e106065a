SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE academy_course.published
ORDER BY academy_course.title ASC,
         academy_course.id ASC;

SELECT academy_tag.id,
       academy_tag.name
FROM academy_tag
INNER JOIN academy_course_tags ON (academy_tag.id = academy_course_tags.tag_id)
WHERE academy_course_tags.course_id = 1
ORDER BY academy_tag.name ASC;

SELECT academy_lesson.id, /* 3 more */ academy_lesson.minutes
FROM academy_lesson
WHERE academy_lesson.course_id = 1
ORDER BY academy_lesson.course_id ASC,
         academy_lesson.position ASC;

SELECT COUNT(*) AS __count
FROM academy_enrollment
WHERE academy_enrollment.course_id = 1;

SELECT academy_lesson.id, /* 3 more */ academy_lesson.minutes
FROM academy_lesson
WHERE academy_lesson.course_id = 1
ORDER BY academy_lesson.minutes DESC,
         academy_lesson.position ASC
LIMIT 1;
