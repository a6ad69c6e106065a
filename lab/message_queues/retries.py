"""Tasks that fail: for a moment, for good, or with their whole process."""

from __future__ import annotations

import os
import signal

from celery import shared_task

from lab.message_queues.printer import TryAgain, have_printed, order


# --8<-- [start:wrong_print]
@shared_task(
    autoretry_for=(Exception,),
    max_retries=None,
    default_retry_delay=1,
)
def wrong_print(number: str) -> None:
    """Have a certificate printed."""
    have_printed(number)


# --8<-- [end:wrong_print]


# --8<-- [start:print_certificate]
@shared_task(
    autoretry_for=(TryAgain,),
    max_retries=8,
    retry_backoff=True,
)
def print_certificate(number: str) -> None:
    """Have a certificate printed."""
    order(number)


# --8<-- [end:print_certificate]


def draw(number: str) -> None:
    """Draw a certificate; with this one, the kernel ends the process: no memory left."""
    have_printed(number)
    os.kill(os.getpid(), signal.SIGKILL)


# --8<-- [start:wrong_draw]
@shared_task(acks_late=True, reject_on_worker_lost=True)
def wrong_draw_certificate(number: str) -> None:
    """Draw a certificate."""
    draw(number)


# --8<-- [end:wrong_draw]


# --8<-- [start:draw]
@shared_task(
    acks_late=True,
    reject_on_worker_lost=True,
    retry_on_worker_lost=True,
    max_retries=2,
    default_retry_delay=1,
)
def draw_certificate(number: str) -> None:
    """Draw a certificate."""
    draw(number)


# --8<-- [end:draw]
