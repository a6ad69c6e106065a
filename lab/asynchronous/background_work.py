"""Work that nobody waits for: lost with the process, or kept in a table."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.db import models, transaction
from django.http import JsonResponse
from django.shortcuts import aget_object_or_404
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.asynchronous.async_views import upstream
from lab.asynchronous.upstream import aask, ask

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger(__name__)
tasks: set[asyncio.Task[None]] = set()


# --8<-- [start:wrong_join]
async def write_letter() -> None:
    """Have a letter printed, then sent."""
    await aask(upstream("held", "print"))
    await aask(upstream("0", "send"))


@csrf_exempt
@login_not_required
@require_POST
async def wrong_join(request: HttpRequest, learner: int, slug: str) -> JsonResponse:
    """Give a learner a seat, and let the letter follow."""
    who = await aget_object_or_404(Learner, pk=learner)
    where = await aget_object_or_404(Course, slug=slug)
    seat = await sync_to_async(enroll)(who, where)
    task = asyncio.create_task(write_letter())
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return JsonResponse({"seat": seat.pk}, status=201)


# --8<-- [end:wrong_join]


# --8<-- [start:letter]
class Letter(models.Model):
    """A letter to send, and what became of it."""

    seat = models.ForeignKey(Enrollment, on_delete=models.CASCADE)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "asynchronous"
        indexes = [models.Index(fields=["sent_at", "not_before"], name="letter_due")]

    # --8<-- [end:letter]
    objects: ClassVar[models.Manager[Letter]]


# --8<-- [start:join]
@transaction.atomic
def enroll_and_promise(learner: Learner, course: Course) -> Letter:
    """Give a learner a seat, and note that a letter is due."""
    return Letter.objects.create(seat=enroll(learner, course))


@csrf_exempt
@login_not_required
@require_POST
async def join(request: HttpRequest, learner: int, slug: str) -> JsonResponse:
    """Give a learner a seat, and say where to ask for the letter."""
    who = await aget_object_or_404(Learner, pk=learner)
    where = await aget_object_or_404(Course, slug=slug)
    try:
        letter = await sync_to_async(enroll_and_promise)(who, where)
    except CannotEnroll as error:
        return JsonResponse({"error": str(error)}, status=409)
    return JsonResponse(
        {"seat": letter.seat.pk, "letter": f"/letters/{letter.pk}/"}, status=201
    )


@login_not_required
async def letter(request: HttpRequest, pk: int) -> JsonResponse:
    """Say what became of a letter."""
    found = await aget_object_or_404(Letter, pk=pk)
    return JsonResponse({"attempts": found.attempts, "sent": bool(found.sent_at)})


# --8<-- [end:join]


# --8<-- [start:send_next]
@transaction.atomic
def send_next() -> bool:
    """Try to send the letter that waits longest; say whether there was one."""
    now = timezone.now()
    due = Letter.objects.filter(sent_at=None, not_before__lte=now, attempts__lt=5)
    locked = due.order_by("not_before", "pk").select_for_update(skip_locked=True)
    letter = locked.first()
    if letter is None:
        return False
    letter.attempts += 1
    try:
        ask(upstream("0", f"letter-{letter.pk}"), timeout=5)
    except Exception:  # whatever it is, the next letter must not wait for this one
        logger.exception("letter %s was not sent", letter.pk)
        letter.not_before = now + timedelta(minutes=2**letter.attempts)
    else:
        letter.sent_at = now
    letter.save()
    return True


# --8<-- [end:send_next]


# --8<-- [start:wrong_send_next]
@transaction.atomic
def wrong_send_next() -> bool:
    """Send the letter that waits longest; say whether there was one."""
    due = Letter.objects.filter(sent_at=None).order_by("not_before", "pk")
    letter = due.select_for_update(skip_locked=True).first()
    if letter is None:
        return False
    ask(upstream("0", f"letter-{letter.pk}"), timeout=5)
    letter.sent_at = timezone.now()
    letter.save()
    return True


# --8<-- [end:wrong_send_next]


def waiting_join(request: HttpRequest, learner: int, slug: str) -> JsonResponse:
    """Give a learner a seat, and answer when the letter is sent."""
    seat = enroll(Learner.objects.get(pk=learner), Course.objects.get(slug=slug))
    ask(upstream("100", "letter"))
    return JsonResponse({"seat": seat.pk}, status=201)


urlpatterns = [
    path("wrong/<int:learner>/<slug:slug>/", wrong_join),
    path(
        "waiting/<int:learner>/<slug:slug>/",
        csrf_exempt(login_not_required(waiting_join)),
    ),
    path("join/<int:learner>/<slug:slug>/", join),
    path("letters/<int:pk>/", letter),
]
