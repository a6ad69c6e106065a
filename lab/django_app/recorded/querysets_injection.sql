-- 2 queries

SELECT *
FROM academy_course
WHERE published
  AND title = 'x'
  OR NOT published -- ';

SELECT *
FROM academy_course
WHERE published
  AND title = 'x'' OR NOT published -- ';
