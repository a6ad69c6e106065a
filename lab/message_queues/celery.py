"""Tasks that show what Celery does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from celery.schedules import crontab
from django.core.mail import send_mail

from lab.academy.models import Enrollment
from lab.message_queues.printer import have_printed

if TYPE_CHECKING:
    from celery import Celery


# --8<-- [start:wrong_congratulate]
@shared_task
def wrong_congratulate(seat: Enrollment) -> None:
    """Tell a learner the grade."""
    text = f"{seat.course}: {seat.grade} points"
    send_mail("Your grade", text, None, [seat.learner.email])


# --8<-- [end:wrong_congratulate]


# --8<-- [start:congratulate]
@shared_task
def congratulate(enrollment: int) -> None:
    """Tell a learner the grade."""
    seat = Enrollment.objects.select_related("course", "learner").get(pk=enrollment)
    text = f"{seat.course}: {seat.grade} points"
    send_mail("Your grade", text, None, [seat.learner.email])


# --8<-- [end:congratulate]


# --8<-- [start:print_certificates]
@shared_task(soft_time_limit=1, time_limit=2)
def print_certificates(numbers: list[str]) -> list[str]:
    """Have certificates printed; return those that nobody printed in time."""
    left = list(numbers)
    try:
        while left:
            have_printed(left[0])
            del left[0]
    except SoftTimeLimitExceeded:
        return left
    return []


# --8<-- [end:print_certificates]


@shared_task(soft_time_limit=1, time_limit=2)
def stubborn(number: str) -> None:
    """Have a certificate printed, whatever the limit says."""
    while True:
        try:
            have_printed(number)
            return
        except SoftTimeLimitExceeded:
            continue


@shared_task
def wait_for(number: str) -> None:
    """Keep a process of the worker busy."""
    have_printed(number)


@shared_task(acks_late=True)
def wait_late(number: str) -> None:
    """Keep a process of the worker busy, and the message until the end."""
    have_printed(number)


# --8<-- [start:beat]
def every_night(app: Celery) -> None:
    """Issue the certificates of the course with key 1 at two in the morning."""
    app.conf.beat_schedule = {
        "certificates": {
            "task": "lab.academy.tasks.issue_certificates",
            "schedule": crontab(hour="2", minute="0"),
            "args": [1],
        }
    }


# --8<-- [end:beat]
