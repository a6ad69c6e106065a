-- 1 query

INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on, grade)
SELECT *
FROM UNNEST(('{1,3}'::int2[])::bigint[], ('{7,7}'::int2[])::bigint[], ('{2026-11-23,2026-11-23}'::date[])::date[], ('{80,70}'::int2[])::smallint[])
ON CONFLICT(learner_id, course_id) DO UPDATE SET grade = EXCLUDED.grade
RETURNING academy_enrollment.id;
