-- 2 queries

UPDATE academy_course
SET seats = 45
WHERE academy_course.id = 2;

UPDATE academy_course
SET seats = (academy_course.seats + 5)
WHERE academy_course.id = 2;
