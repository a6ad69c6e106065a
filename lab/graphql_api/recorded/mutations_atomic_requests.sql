-- without what was read:

BEGIN;

SAVEPOINT s_x1;

INSERT INTO academy_lesson (course_id, position, title, minutes)
VALUES (2, 8, 'Typing', 30)
RETURNING academy_lesson.id;

RELEASE SAVEPOINT s_x1;

COMMIT;
