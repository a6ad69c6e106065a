"""Views that wait without a thread's help, streams, and what happens when the client goes."""

from __future__ import annotations

import asyncio
import json
import os
from functools import partial
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import JsonResponse, StreamingHttpResponse
from django.shortcuts import aget_object_or_404
from django.urls import path
from django.views.decorators.http import require_safe

from lab.academy.enrolling import enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.asynchronous.upstream import aask, ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from django.http import HttpRequest


# --8<-- [start:dashboard]
def upstream(wait: str, name: str) -> str:
    """Return the URL of a service that the academy asks."""
    return f"{os.environ['UPSTREAM_URL']}/{wait}/{name}"


@login_not_required
@require_safe
async def dashboard(request: HttpRequest) -> JsonResponse:
    """Ask two services at once."""
    wait = request.GET["ms"]
    try:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            grades = group.create_task(aask(upstream(wait, "grades")))
            messages = group.create_task(aask(upstream(wait, "messages")))
    except TimeoutError:
        return JsonResponse({"error": "a service did not answer"}, status=504)
    return JsonResponse({"grades": grades.result(), "messages": messages.result()})


# --8<-- [end:dashboard]


# --8<-- [start:course]
@login_not_required
@require_safe
async def course(request: HttpRequest, slug: str) -> JsonResponse:
    """Return a course with its lessons."""
    found = await aget_object_or_404(Course, slug=slug, published=True)
    lessons = [lesson.title async for lesson in found.lessons.all()]
    learners = await found.enrollments.acount()
    return JsonResponse(
        {"title": found.title, "lessons": lessons, "learners": learners}
    )


# --8<-- [end:course]


# --8<-- [start:join]
@transaction.atomic
def enroll_and_welcome(learner: Learner, course: Course) -> Enrollment:
    """Give a learner a seat, and send a letter when the seat is stored."""
    transaction.on_commit(partial(ask, upstream("0", "welcome")))
    return enroll(learner, course)


@login_not_required
async def join(request: HttpRequest, learner: int, slug: str) -> JsonResponse:
    """Give a learner a seat in a course."""
    who = await aget_object_or_404(Learner, pk=learner)
    where = await aget_object_or_404(Course, slug=slug)
    seat = await sync_to_async(enroll_and_welcome)(who, where)
    return JsonResponse({"seat": seat.pk}, status=201)


# --8<-- [end:join]


# --8<-- [start:certificate]
@login_not_required
async def certificate(request: HttpRequest) -> JsonResponse:
    """Reserve a number, wait for the printer, and give the number back if nobody waits."""
    await aask(upstream("0", "reserved"))
    try:
        await aask(upstream("held", "printed"))
    except asyncio.CancelledError:
        await aask(upstream("0", "released"))
        raise
    return JsonResponse({"printed": True})


# --8<-- [end:certificate]


# --8<-- [start:events]
async def progress(first: int, last: int, wait: str) -> AsyncIterator[str]:
    """Yield an event for each step of a report, as soon as the step is done."""
    for step in range(first, last + 1):
        await aask(upstream(wait, f"step-{step}"))
        data = json.dumps({"step": step, "of": last})
        yield f"id: {step}\nevent: step\ndata: {data}\n\n"


@login_not_required
@require_safe
async def events(request: HttpRequest) -> StreamingHttpResponse:
    """Stream the progress of a report, from where the client left off."""
    seen = request.headers.get("Last-Event-ID", "0")
    steps = progress(int(seen) + 1, 3, request.GET.get("ms", "0"))
    return StreamingHttpResponse(
        steps,
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


# --8<-- [end:events]


@login_not_required
def plain(request: HttpRequest) -> JsonResponse:
    """Answer at once, in a synchronous view."""
    return JsonResponse({"ok": True})


@login_not_required
async def aplain(request: HttpRequest) -> JsonResponse:
    """Answer at once, in an asynchronous view."""
    return JsonResponse({"ok": True})


PIECES = 1000
produced = {"pieces": 0}


async def export() -> AsyncIterator[bytes]:
    """Yield 64 MB in a thousand pieces, and count them."""
    for _ in range(PIECES):
        produced["pieces"] += 1
        yield b"x" * 65_536


def export_view(request: HttpRequest) -> StreamingHttpResponse:
    """Stream more than any buffer holds."""
    produced["pieces"] = 0
    return StreamingHttpResponse(export())


async def produced_view(request: HttpRequest) -> JsonResponse:
    """Say how many pieces were made."""
    return JsonResponse(produced)


urlpatterns = [
    path("dashboard/", dashboard),
    path("courses/<slug:slug>/", course),
    path("join/<int:learner>/<slug:slug>/", join),
    path("certificate/", certificate),
    path("events/", events),
    path("plain/", plain),
    path("aplain/", aplain),
    path("export/", login_not_required(export_view)),
    path("produced/", login_not_required(produced_view)),
]
