"""Tasks whose worker dies: lost, or done twice."""

from __future__ import annotations

from typing import ClassVar

from celery import shared_task
from django.db import models, transaction
from django.db.models import F

from lab.academy.models import Enrollment
from lab.message_queues.printer import have_printed


# --8<-- [start:wrong_print]
@shared_task
def wrong_print(number: str) -> None:
    """Have a certificate printed."""
    have_printed(number)


# --8<-- [end:wrong_print]


# --8<-- [start:wrong_print_late]
@shared_task(acks_late=True)
def wrong_print_late(number: str) -> None:
    """Have a certificate printed."""
    have_printed(number)


# --8<-- [end:wrong_print_late]


# --8<-- [start:print_certificate]
@shared_task(acks_late=True, reject_on_worker_lost=True)
def print_certificate(number: str) -> None:
    """Have a certificate printed."""
    have_printed(number)


# --8<-- [end:print_certificate]


# --8<-- [start:wrong_add_bonus]
@shared_task(acks_late=True)
def wrong_add_bonus(enrollment: int, points: int) -> None:
    """Add points to a grade."""
    seat = Enrollment.objects.filter(pk=enrollment)
    seat.update(grade=F("grade") + points)


# --8<-- [end:wrong_add_bonus]


# --8<-- [start:done]
class Done(models.Model):
    """A piece of work that must not be done again."""

    key = models.CharField(max_length=64, unique=True)

    class Meta:
        app_label = "message_queues"

    # --8<-- [end:done]
    objects: ClassVar[models.Manager[Done]]


# --8<-- [start:add_bonus]
@shared_task(acks_late=True)
@transaction.atomic
def add_bonus(key: str, enrollment: int, points: int) -> bool:
    """Add points to a grade, once for each key; say whether it was now."""
    new = Done.objects.get_or_create(key=key)[1]
    if new:
        seat = Enrollment.objects.filter(pk=enrollment)
        seat.update(grade=F("grade") + points)
    return new


# --8<-- [end:add_bonus]
