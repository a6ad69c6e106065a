-- 4 queries

BEGIN;

SELECT academy_lesson.id, /* 3 more */ academy_lesson.minutes
FROM academy_lesson
WHERE (academy_lesson.course_id = 1
       AND academy_lesson.position = 1)
LIMIT 21
FOR UPDATE;

UPDATE academy_lesson
SET title = 'Keys'
WHERE academy_lesson.id = 1;

COMMIT;
