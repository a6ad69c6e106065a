"""Routes for servers behind a balancer: one says what it was told, one is slow if its server is."""

from __future__ import annotations

import os
import time

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from lab.django_app.deployment import liveness, readiness


# --8<-- [start:told]
@login_not_required
def told(request: HttpRequest) -> JsonResponse:
    """Say who asks, as this server was told."""
    return JsonResponse(
        {
            "REMOTE_ADDR": request.META["REMOTE_ADDR"],
            "X-Forwarded-For": request.headers.get("X-Forwarded-For"),
        }
    )


# --8<-- [end:told]


@login_not_required
def work(request: HttpRequest) -> HttpResponse:
    """Answer after as many seconds as this server takes."""
    time.sleep(float(os.environ.get("SERVED_SECONDS", "0")))
    return HttpResponse("done")


urlpatterns = [
    path("told/", told),
    path("work/", work),
    path("health/", readiness),
    path("health/alive/", liveness),
]
