INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on, grade)
VALUES (1, 7, '2026-11-23', 91),
       (2, 7, '2026-11-23', 92) ON DUPLICATE KEY
UPDATE grade = VALUE(grade)
RETURNING academy_enrollment.id;
