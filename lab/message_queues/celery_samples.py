"""What the settings of a project with Celery should say."""

from __future__ import annotations

# --8<-- [start:settings]
CELERY_TASK_TIME_LIMIT = 300  # seconds; without it a task may hang forever
CELERY_TASK_SOFT_TIME_LIMIT = 270
CELERY_TASK_IGNORE_RESULT = True  # store results for the tasks that need it
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ACKS_LATE = True  # every task may run twice
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_RETRY_ON_WORKER_LOST = True
# --8<-- [end:settings]
