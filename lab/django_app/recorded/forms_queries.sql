-- 3 queries

SELECT 1 AS _check
WHERE COALESCE((NOT ('Linux' = '')), true);

SELECT 1 AS _check
WHERE COALESCE(('2027-04-12'::date >= '2027-03-01'::date), true);

SELECT 1 AS a
FROM academy_course
WHERE academy_course.slug = 'linux'
LIMIT 1;
