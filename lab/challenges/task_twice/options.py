"""One task with three sets of options: when the broker may forget it."""

from __future__ import annotations

from celery import shared_task

from lab.challenges.task_twice.fixed.copying import copy_lessons


# --8<-- [start:options]
@shared_task(acks_late=True)
def late(source: int, target: int) -> None:
    """Acknowledged when it has ended, however it ended."""
    copy_lessons(source, target)


@shared_task(acks_late=True, reject_on_worker_lost=True)
def late_and_given_back(source: int, target: int) -> None:
    """The same, and given back when the process that ran it is gone."""
    copy_lessons(source, target)


@shared_task(acks_late=True, retry_on_worker_lost=True, default_retry_delay=1)
def late_and_retried(source: int, target: int) -> None:
    """The same, and sent again as a retry, which is counted."""
    copy_lessons(source, target)


# --8<-- [end:options]
