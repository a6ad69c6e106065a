-- 4 queries

BEGIN;

SELECT database_design_job.id,
       database_design_job.task,
       database_design_job.done_by
FROM database_design_job
WHERE database_design_job.done_by = ''
ORDER BY database_design_job.id ASC
LIMIT 1
FOR UPDATE SKIP LOCKED;

UPDATE database_design_job
SET done_by = 'worker 1'
WHERE database_design_job.id = 1;

COMMIT;
