"""The same report as a synchronous view, which Django runs in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import path

from lab.challenges.blocked_event_loop.fixed.views import grades, health

if TYPE_CHECKING:
    from django.http import HttpRequest


# --8<-- [start:report]
@login_not_required
def report(request: HttpRequest) -> JsonResponse:
    """Show the grades."""
    return JsonResponse({"grades": grades()})


# --8<-- [end:report]

urlpatterns = [path("report/", report), path("health/", health)]
