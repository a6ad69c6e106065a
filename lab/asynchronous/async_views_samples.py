"""Async views that are wrong on purpose."""

from __future__ import annotations

import time
from functools import wraps
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponseBase, JsonResponse
from django.shortcuts import aget_object_or_404
from django.urls import path

from lab.academy.enrolling import enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.asynchronous import async_views
from lab.asynchronous.async_views import upstream
from lab.asynchronous.upstream import aask

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    View = Callable[..., Any]


# --8<-- [start:wrong_seat]
@login_not_required
async def wrong_seat(request: HttpRequest) -> JsonResponse:
    """Say which course the first seat is in."""
    seat = await Enrollment.objects.aget(pk=1)
    return JsonResponse({"course": seat.course.title})


# --8<-- [end:wrong_seat]


# --8<-- [start:seat]
@login_not_required
async def seat(request: HttpRequest) -> JsonResponse:
    """Say which course the first seat is in."""
    seat = await Enrollment.objects.select_related("course").aget(pk=1)
    return JsonResponse({"course": seat.course.title})


# --8<-- [end:seat]


# --8<-- [start:wrong_join]
@login_not_required
async def wrong_join(request: HttpRequest, learner: int, slug: str) -> JsonResponse:
    """Give a learner a seat in a course."""
    who = await aget_object_or_404(Learner, pk=learner)
    where = await aget_object_or_404(Course, slug=slug)
    seat = await sync_to_async(enroll)(who, where)
    await aask(upstream("0", "welcome"))
    return JsonResponse({"seat": seat.pk}, status=201)


# --8<-- [end:wrong_join]


# --8<-- [start:wrong_timed]
def wrong_timed(view: View) -> View:
    """Say in a header how long a view took."""

    @wraps(view)
    def timed_view(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        start = time.perf_counter()
        response: HttpResponseBase = view(request, **arguments)
        response["Server-Timing"] = f"view;dur={1000 * (time.perf_counter() - start)}"
        return response

    return timed_view


# --8<-- [end:wrong_timed]


# --8<-- [start:timed]
def timed(view: View) -> View:
    """Say in a header how long a view took, whether it is async or not."""

    def stamp(response: HttpResponseBase, start: float) -> HttpResponseBase:
        response["Server-Timing"] = f"view;dur={1000 * (time.perf_counter() - start)}"
        return response

    @wraps(view)
    def timed_view(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        start = time.perf_counter()
        return stamp(view(request, **arguments), start)

    @wraps(view)
    async def atimed_view(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        start = time.perf_counter()
        return stamp(await view(request, **arguments), start)

    return atimed_view if iscoroutinefunction(view) else timed_view


# --8<-- [end:timed]

urlpatterns = [
    *async_views.urlpatterns,
    path("wrong-seat/", wrong_seat),
    path("seat/", seat),
    path("wrong-join/<int:learner>/<slug:slug>/", wrong_join),
    path("wrong-timed/", wrong_timed(async_views.aplain)),
    path("wrong-timed-sync/", wrong_timed(async_views.plain)),
    path("timed/", timed(async_views.aplain)),
    path("timed-sync/", timed(async_views.plain)),
]
