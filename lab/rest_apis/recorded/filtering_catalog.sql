-- 2 queries

SELECT COUNT(*) AS __count
FROM academy_course
WHERE (academy_course.published
       AND academy_course.level = 'beginner'
       AND academy_course.starts_on >= '2026-01-20'::date
       AND (UPPER(academy_course.title::text) LIKE UPPER('%api%')
            OR UPPER(academy_course.description::text) LIKE UPPER('%api%')));

SELECT academy_course.id, /* 8 more */ academy_course.teacher_id
FROM academy_course
WHERE (academy_course.published
       AND academy_course.level = 'beginner'
       AND academy_course.starts_on >= '2026-01-20'::date
       AND (UPPER(academy_course.title::text) LIKE UPPER('%api%')
            OR UPPER(academy_course.description::text) LIKE UPPER('%api%')))
ORDER BY academy_course.starts_on DESC,
         academy_course.id ASC
LIMIT 1;
