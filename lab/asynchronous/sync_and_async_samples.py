"""Code that is on the wrong side of the border, on purpose."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse, JsonResponse
from django.urls import path

from lab.asynchronous import sync_and_async
from lab.asynchronous.sync_and_async import grade

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest


# --8<-- [start:wrong_mean]
def mean(count: int) -> float:
    """Return the mean of some grades: a helper that hides a coroutine."""
    return sum(async_to_sync(grade)() for _ in range(count)) / count


@login_not_required
async def wrong_mean(request: HttpRequest) -> JsonResponse:
    """Show the mean."""
    return JsonResponse({"mean": mean(3)})


# --8<-- [end:wrong_mean]


# --8<-- [start:mean]
async def amean(count: int) -> float:
    """Return the mean of some grades."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(grade()) for _ in range(count)]
    return sum(task.result() for task in tasks) / count


@login_not_required
async def right_mean(request: HttpRequest) -> JsonResponse:
    """Show the mean."""
    return JsonResponse({"mean": await amean(3)})


# --8<-- [end:mean]


# --8<-- [start:wrong_room]
def wrong_room(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Say in a header which class room answered."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Room"] = "12"
        return response

    return middleware


# --8<-- [end:wrong_room]

urlpatterns = [
    *sync_and_async.urlpatterns,
    path("wrong-mean/", wrong_mean),
    path("mean/", right_mean),
]
