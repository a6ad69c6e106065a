-- 3 queries

SELECT COUNT(*) AS __count
FROM academy_course
WHERE (academy_course.published
       AND academy_course.level = 'beginner');

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.published
       AND academy_course.level = 'beginner')
ORDER BY academy_course.title ASC,
         academy_course.id ASC
LIMIT 3;

SELECT (academy_course_tags.course_id) AS _prefetch_related_val_course_id,
       academy_tag.id,
       academy_tag.name
FROM academy_tag
INNER JOIN academy_course_tags ON (academy_tag.id = academy_course_tags.tag_id)
WHERE academy_course_tags.course_id IN (7, 1, 4)
ORDER BY academy_tag.name ASC;
