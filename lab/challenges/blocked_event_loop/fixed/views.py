"""The academy's views that Uvicorn serves: grades from another service, and a health check."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest


# --8<-- [start:report]
def grades() -> Any:
    """Ask the registry, which may take its time."""
    url = os.environ["REGISTRY_URL"]
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


@login_not_required
async def report(request: HttpRequest) -> JsonResponse:
    """Show the grades."""
    return JsonResponse({"grades": await asyncio.to_thread(grades)})


# --8<-- [end:report]


@login_not_required
async def health(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


urlpatterns = [path("report/", report), path("health/", health)]
