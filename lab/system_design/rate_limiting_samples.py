"""A route that counts with the cache that its process has."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import path

LIMIT = 5


# --8<-- [start:limited]
@login_not_required
def limited(request: HttpRequest) -> HttpResponse:
    """Answer five requests, of all clients together, and refuse those after them."""
    cache.add("asked", 0, timeout=60)
    if cache.incr("asked") > LIMIT:
        return HttpResponse("too many", status=429, headers={"Retry-After": "60"})
    return HttpResponse("welcome")


# --8<-- [end:limited]

urlpatterns = [path("limited/", limited)]
