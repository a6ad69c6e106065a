"""The view that has the price of async and none of its gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import path

from lab.asynchronous.when_to_use import fetch, service
from lab.asynchronous.when_to_use import urlpatterns as right

if TYPE_CHECKING:
    from django.http import HttpRequest


# --8<-- [start:wrong_waiting]
@login_not_required
async def wrong_waiting(request: HttpRequest) -> JsonResponse:
    """Ask another service."""
    return JsonResponse({"grade": fetch(service(request))})  # blocks the loop


# --8<-- [end:wrong_waiting]


urlpatterns = [*right, path("wrong/waiting/", wrong_waiting)]
