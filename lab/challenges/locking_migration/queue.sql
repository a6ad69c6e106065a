-- --8<-- [start:queue]
SELECT a.application_name AS who, a.state, a.wait_event_type AS waits_for,
       string_agg(b.application_name, ', ' ORDER BY b.application_name) AS behind
FROM pg_stat_activity a
LEFT JOIN pg_stat_activity b ON b.pid = ANY (pg_blocking_pids(a.pid))
WHERE a.datname = current_database() AND a.application_name LIKE 'academy %'
GROUP BY a.pid, who, a.state, waits_for
ORDER BY who
-- --8<-- [end:queue]
