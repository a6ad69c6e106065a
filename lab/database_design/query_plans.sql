-- --8<-- [start:statistics]
CREATE STATISTICS grade_by_day (mcv) ON grade, enrolled_on FROM academy_enrollment;
ANALYZE academy_enrollment
-- --8<-- [end:statistics]

-- --8<-- [start:statements]
SELECT calls, rows, (shared_blks_hit + shared_blks_read) / calls AS pages_each,
    substring(query FROM 'FROM .*') AS query
FROM pg_stat_statements
ORDER BY total_exec_time DESC
LIMIT 3
-- --8<-- [end:statements]

-- --8<-- [start:auto_explain]
LOAD 'auto_explain';
SET LOCAL auto_explain.log_min_duration = '10ms';
SET LOCAL auto_explain.log_analyze = on;
-- --8<-- [end:auto_explain]
