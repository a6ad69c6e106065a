"""Handlers that keep the event loop for themselves, wrong on purpose."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import path

from lab.asynchronous import event_loop
from lab.asynchronous.event_loop import compute, upstream

if TYPE_CHECKING:
    from django.http import HttpRequest


# --8<-- [start:wrong_views]
@login_not_required
async def pause(request: HttpRequest) -> JsonResponse:
    """Wait before the next try."""
    time.sleep(int(request.GET["ms"]) / 1000)
    return JsonResponse({"waited": True})


@login_not_required
async def report(request: HttpRequest) -> JsonResponse:
    """Fetch the grades."""
    url = upstream(request.GET["ms"])
    with urllib.request.urlopen(url) as response:  # noqa: S310  (our own URL)
        return JsonResponse({"grades": response.read().decode()})


@login_not_required
async def rank(request: HttpRequest) -> JsonResponse:
    """Compute the ranking."""
    return JsonResponse({"done": compute(int(request.GET["ms"])) > 0})


# --8<-- [end:wrong_views]

urlpatterns = [
    *event_loop.urlpatterns,
    path("pause/", pause),
    path("report/", report),
    path("rank/", rank),
]
