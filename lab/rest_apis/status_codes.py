"""An address that has moved, beside the real API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponsePermanentRedirect
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from lab import urls
from lab.rest_apis.resources import AppendOnceViewSet

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


# --8<-- [start:moved]
@csrf_exempt
@login_not_required
def moved(request: HttpRequest, rest: str) -> HttpResponse:
    """Send a client of version 0 on, with its method and body."""
    return HttpResponsePermanentRedirect(f"/api/v1/{rest}", preserve_request=True)


# --8<-- [end:moved]

urlpatterns = [
    path("api/v0/<path:rest>", moved),
    path(
        "api/once/<slug:course_slug>/lessons/",
        AppendOnceViewSet.as_view({"post": "create"}),
    ),
    *urls.urlpatterns,
]
handler400 = urls.handler400
handler403 = urls.handler403
handler404 = urls.handler404
handler500 = urls.handler500
