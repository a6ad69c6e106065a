-- Stands for an import that takes its time.
SELECT pg_sleep(7);
