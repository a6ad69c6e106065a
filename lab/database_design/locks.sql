-- deadlock: Ama moves seats from Django to Python, and Kofi from Python to Django
/* Ama  */ UPDATE academy_course SET seats = seats - 1 WHERE slug = 'django';
/* Kofi */ UPDATE academy_course SET seats = seats - 1 WHERE slug = 'python';
/* Ama  */ UPDATE academy_course SET seats = seats + 1 WHERE slug = 'python';
/* Kofi */ UPDATE academy_course SET seats = seats + 1 WHERE slug = 'django';
/* Ama  */ COMMIT;
/* Kofi */ COMMIT;

-- gap: names that nobody has yet
/* Ama  */ SELECT id FROM academy_tag WHERE name = 'cloud' FOR UPDATE;
/* Kofi */ SELECT id FROM academy_tag WHERE name = 'compilers' FOR UPDATE;
/* Ama  */ INSERT INTO academy_tag (name) VALUES ('cloud');
/* Kofi */ INSERT INTO academy_tag (name) VALUES ('compilers');
/* Ama  */ COMMIT;
/* Kofi */ COMMIT;

-- --8<-- [start:blocking_postgresql]
SELECT waiting.pid, waiting.query, age(now(), waiting.query_start) AS since,
       blocker.pid AS blocked_by, blocker.state, blocker.query AS its_last_query
FROM pg_stat_activity AS waiting
CROSS JOIN unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid)
JOIN pg_stat_activity AS blocker ON blocker.pid = blocking.pid;
-- --8<-- [end:blocking_postgresql]

-- --8<-- [start:blocking_mariadb]
SELECT waiting.trx_mysql_thread_id AS id, waiting.trx_query AS query,
       waiting.trx_wait_started AS since,
       blocker.trx_mysql_thread_id AS blocked_by, blocker.trx_started
FROM information_schema.innodb_lock_waits AS wait
JOIN information_schema.innodb_trx AS waiting
  ON waiting.trx_id = wait.requesting_trx_id
JOIN information_schema.innodb_trx AS blocker
  ON blocker.trx_id = wait.blocking_trx_id;
-- --8<-- [end:blocking_mariadb]
