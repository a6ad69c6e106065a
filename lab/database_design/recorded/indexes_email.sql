-- 1 query

SELECT academy_learner.id, /* 3 more */ academy_learner.joined_on
FROM academy_learner
WHERE UPPER(academy_learner.email::text) = UPPER('AMA-77@example.com')
LIMIT 21;
