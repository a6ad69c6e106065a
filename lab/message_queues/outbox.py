"""A task and the row that it is about: sent too early, not at all, or with it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from celery import current_app, shared_task
from django.core.mail import send_mail
from django.db import models, transaction

from lab.academy.enrolling import enroll
from lab.academy.models import Enrollment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.academy.models import Course, Learner


# --8<-- [start:welcome]
@shared_task
def welcome(enrollment: int) -> None:
    """Greet a learner."""
    seat = Enrollment.objects.select_related("learner").get(pk=enrollment)
    send_mail("Welcome", f"Your seat: {seat.pk}", None, [seat.learner.email])


# --8<-- [end:welcome]


# --8<-- [start:wrong_join]
@transaction.atomic
def wrong_join(learner: Learner, courses: Iterable[Course]) -> None:
    """Give a learner a seat in each of the courses, or in none."""
    for course in courses:
        welcome.delay(enroll(learner, course).pk)


# --8<-- [end:wrong_join]


# --8<-- [start:join]
@transaction.atomic
def join(learner: Learner, courses: Iterable[Course]) -> None:
    """Give a learner a seat in each of the courses, or in none."""
    for course in courses:
        welcome.delay_on_commit(enroll(learner, course).pk)


# --8<-- [end:join]


# --8<-- [start:message]
class Message(models.Model):
    """A task that is to be sent."""

    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=120)
    args = models.JSONField(default=list)

    class Meta:
        app_label = "message_queues"

    # --8<-- [end:message]
    objects: ClassVar[models.Manager[Message]]


# --8<-- [start:promise]
@transaction.atomic
def join_and_promise(learner: Learner, courses: Iterable[Course]) -> None:
    """Give a learner a seat in each of the courses, or in none."""
    for course in courses:
        seat = enroll(learner, course)
        Message.objects.create(task=welcome.name, args=[seat.pk])


# --8<-- [end:promise]


# --8<-- [start:relay]
@transaction.atomic
def relay(most: int = 100) -> int:
    """Send the tasks that wait longest; return how many."""
    waiting = Message.objects.select_for_update(skip_locked=True)
    messages = waiting.order_by("pk")[:most]
    for message in messages:
        current_app.send_task(message.task, message.args, task_id=str(message.key))
        message.delete()
    return len(messages)


# --8<-- [end:relay]
