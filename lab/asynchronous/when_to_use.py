"""Three kinds of work, each in a view for threads and in a view for the event loop."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import path

from lab.asynchronous.upstream import aask
from lab.same_endpoint import asynchronous, plain

if TYPE_CHECKING:
    from django.http import HttpRequest


def service(request: HttpRequest) -> str:
    """Return the URL of a service that answers when this request says so."""
    return f"{os.environ['UPSTREAM_URL']}/{request.GET.get('ms', '100')}/grade"


def fetch(url: str) -> str:
    """Send the request that ``aask`` sends, and block this thread until the answer."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port  # noqa: S101, PT018  (for the type checker)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.read().partition(b"\r\n\r\n")[2].decode()


# --8<-- [start:views]
@login_not_required
def waiting(request: HttpRequest) -> JsonResponse:
    """Ask another service; the thread waits."""
    return JsonResponse({"grade": fetch(service(request))})


@login_not_required
async def awaiting(request: HttpRequest) -> JsonResponse:
    """Ask another service; the thread serves others in the meantime."""
    return JsonResponse({"grade": await aask(service(request))})


def work(rounds: int) -> int:
    """Compute; 30,000 rounds are a few milliseconds."""
    return sum(number * number % 7 for number in range(rounds))


@login_not_required
def computing(request: HttpRequest) -> JsonResponse:
    """Compute, in a thread."""
    return JsonResponse({"sum": work(int(request.GET.get("rounds", 30_000)))})


@login_not_required
async def acomputing(request: HttpRequest) -> JsonResponse:
    """Compute, in the event loop."""
    return JsonResponse({"sum": work(int(request.GET.get("rounds", 30_000)))})


# --8<-- [end:views]


urlpatterns = [
    path("sync/waiting/", waiting),
    path("async/waiting/", awaiting),
    path("sync/database/", plain.catalog),
    path("async/database/", asynchronous.catalog),
    path("sync/computing/", computing),
    path("async/computing/", acomputing),
]
