"""What a running system says of itself: lines with one id, and numbers."""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from contextvars import ContextVar
from logging.config import dictConfig
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from celery import shared_task
from celery.signals import (
    after_setup_logger,
    before_task_publish,
    task_postrun,
    task_prerun,
)
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import sync_and_async_middleware

from lab.academy.models import Course

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("academy.observed")

# --8<-- [start:trace]
trace_id: ContextVar[str] = ContextVar("trace_id", default="-")
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def trace_of(request: HttpRequest) -> str:
    """Return the id under which the caller follows this request, or a new one."""
    sent = TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    if sent and int(sent[1], 16) and int(sent[2], 16):
        return sent[1]
    return secrets.token_hex(16)


# --8<-- [end:trace]


# --8<-- [start:middleware]
@sync_and_async_middleware
def tracing(get_response: Callable[[HttpRequest], Any]) -> Callable[..., Any]:
    """Give each request an id, in every line that is logged on its behalf."""
    if iscoroutinefunction(get_response):

        async def traced_async(request: HttpRequest) -> HttpResponse:
            token = trace_id.set(trace_of(request))
            try:
                response: HttpResponse = await get_response(request)
                response["X-Trace-ID"] = trace_id.get()
                return response
            finally:
                trace_id.reset(token)

        return traced_async

    def traced(request: HttpRequest) -> HttpResponse:
        token = trace_id.set(trace_of(request))
        try:
            response: HttpResponse = get_response(request)
            response["X-Trace-ID"] = trace_id.get()
            return response
        finally:
            trace_id.reset(token)

    return traced


# --8<-- [end:middleware]


# --8<-- [start:filter]
class WithTrace(logging.Filter):
    """Gives each record the id of the work in which it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, with one more attribute."""
        record.trace = trace_id.get()
        return True


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"trace": {"()": WithTrace}},
    "formatters": {"json": {"()": "lab.python.logging.JsonLines"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["trace"],
            "formatter": "json",
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
}
# --8<-- [end:filter]


# --8<-- [start:celery]
def pack(headers: dict[str, Any], **_: object) -> None:
    """Send the id along with the message."""
    headers["trace_id"] = trace_id.get()


def unpack(task: Any, **_: object) -> None:
    """Work under the id of whoever asked for it."""
    trace_id.set(getattr(task.request, "trace_id", None) or "-")


def forget(**_: object) -> None:
    """Leave no id behind for the next task of this process."""
    trace_id.set("-")


def configure(**_: object) -> None:
    """Let a worker log as the site does, in place of what Celery has set up."""
    dictConfig(LOGGING)


before_task_publish.connect(pack)
task_prerun.connect(unpack)
task_postrun.connect(forget)
after_setup_logger.connect(configure)
# --8<-- [end:celery]


# --8<-- [start:work]
@shared_task
def recount(slug: str) -> None:
    """Count the learners of a course again."""
    learners = Course.objects.get(slug=slug).enrollments.count()
    logger.info("counted", extra={"course": slug, "learners": learners})


def look_up(slug: str) -> Course:
    """Find a course; runs in a thread of its own."""
    logger.info("looking up", extra={"course": slug})
    return Course.objects.get(slug=slug)


@login_not_required
async def ask_recount(request: HttpRequest, slug: str) -> JsonResponse:
    """Have the learners of a course counted again."""
    logger.info("asked")
    course = await sync_to_async(look_up)(slug)
    await sync_to_async(recount.delay)(course.slug)
    return JsonResponse({"course": course.title}, status=202)


# --8<-- [end:work]


# --8<-- [start:wrong_access]
def wrong_access(request: HttpRequest) -> None:
    """Note a request, with all that may help somebody one day."""
    logger.info("request", extra={"headers": dict(request.headers)})


# --8<-- [end:wrong_access]


# --8<-- [start:access]
LOGGED = ("accept", "content-type", "content-length")


def access(request: HttpRequest) -> None:
    """Note a request: the headers that we have decided to keep."""
    kept = {name: request.headers[name] for name in LOGGED if name in request.headers}
    logger.info("request", extra={"headers": kept})


# --8<-- [end:access]


# --8<-- [start:histogram]
BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, float("inf"))  # seconds, "up to"


class Histogram:
    """Counts how often something took how long; one series for each set of labels."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self.lock = threading.Lock()
        self.counts: dict[tuple[str, ...], list[int]] = defaultdict(
            lambda: [0] * len(BUCKETS)
        )
        self.sums: dict[tuple[str, ...], float] = defaultdict(float)

    def observe(self, seconds: float, *values: str) -> None:
        """Count one measurement."""
        with self.lock:
            self.counts[values][bisect_left(BUCKETS, seconds)] += 1
            self.sums[values] += seconds

    def lines(self) -> Iterator[str]:
        """Yield the text that a metrics server collects."""
        yield f"# TYPE {self.name} histogram"
        for values, counts in sorted(self.counts.items()):
            own = [f'{k}="{v}"' for k, v in zip(self.labels, values, strict=True)]
            for n, limit in enumerate(BUCKETS):
                edge = "+Inf" if limit == float("inf") else f"{limit:g}"
                labels = ",".join([*own, f'le="{edge}"'])
                yield f"{self.name}_bucket{{{labels}}} {sum(counts[: n + 1])}"
            yield f"{self.name}_sum{{{','.join(own)}}} {self.sums[values]:.3f}"
            yield f"{self.name}_count{{{','.join(own)}}} {sum(counts)}"


# --8<-- [end:histogram]


# --8<-- [start:timing]
requests = Histogram("http_request_seconds", "route", "status")


def timing(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., Any]:
    """Count each request under the pattern of its route."""

    def timed(request: HttpRequest) -> HttpResponse:
        start = time.perf_counter()
        response = get_response(request)
        match = request.resolver_match
        route = match.route if match else "none"
        taken = time.perf_counter() - start
        requests.observe(taken, route, str(response.status_code))
        return response

    return timed


# --8<-- [end:timing]


# --8<-- [start:wrong_timing]
def wrong_timing(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., Any]:
    """Count each request under its path."""

    def timed(request: HttpRequest) -> HttpResponse:
        start = time.perf_counter()
        response = get_response(request)
        taken = time.perf_counter() - start
        requests.observe(taken, request.path, str(response.status_code))
        return response

    return timed


# --8<-- [end:wrong_timing]


@login_not_required
def seats(request: HttpRequest, slug: str) -> JsonResponse:
    """Answer how many seats a course has."""
    logger.info("seats")
    return JsonResponse({"seats": Course.objects.get(slug=slug).seats})


# --8<-- [start:metrics]
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the collector, which the proxy lets in from inside only."""
    text = "\n".join([*requests.lines(), ""])
    return HttpResponse(text, content_type="text/plain; version=0.0.4")


# --8<-- [end:metrics]

urlpatterns = [
    path("courses/<slug:slug>/recount/", ask_recount),
    path("courses/<slug:slug>/seats/", seats),
    path("metrics/", metrics),
]
