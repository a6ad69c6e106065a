"""The academy's views that Uvicorn serves: grades from another service, and a health check."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest


# --8<-- [start:wrong_views]
def grades() -> Any:
    """Ask the registry, which may take its time."""
    with urllib.request.urlopen(os.environ["REGISTRY_URL"]) as answer:  # noqa: S310
        return json.load(answer)


@login_not_required
async def report(request: HttpRequest) -> JsonResponse:
    """Show the grades."""
    return JsonResponse({"grades": grades()})


@login_not_required
async def health(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


# --8<-- [end:wrong_views]

urlpatterns = [path("report/", report), path("health/", health)]
