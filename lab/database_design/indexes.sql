-- --8<-- [start:unused]
SELECT indexrelname, idx_scan, indisunique,
    pg_size_pretty(pg_relation_size(indexrelid)) AS size
FROM pg_stat_user_indexes JOIN pg_index USING (indexrelid)
WHERE relname = 'academy_enrollment'
ORDER BY idx_scan, indexrelname
-- --8<-- [end:unused]
