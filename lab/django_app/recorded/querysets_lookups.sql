-- 1 query

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.level IN ('beginner', 'intermediate')
       AND academy_course.published
       AND academy_course.starts_on >= '2026-01-10'::date
       AND UPPER(academy_course.title::text) LIKE UPPER('%api%'))
ORDER BY academy_course.title ASC,
         academy_course.id ASC;
