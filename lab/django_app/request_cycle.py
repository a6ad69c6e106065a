"""The layers between server and view: a trace of them, and two that people get wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.shortcuts import render
from django.urls import include, path

from lab.academy.models import Course

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    GetResponse = Callable[[HttpRequest], HttpResponse]

log = logging.getLogger(__name__)


# --8<-- [start:trace]
class Trace:
    """Middleware that reports on the layer after it in ``MIDDLEWARE``."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        # Django wraps each layer to turn exceptions into responses.
        self.layer = get_response.__wrapped__
        self.name = getattr(self.layer, "__name__", type(self.layer).__name__)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Let the layer do its work, and say which headers it added."""
        log.info("in    %s", self.name)
        response: HttpResponse = self.get_response(request)
        log.info("out   %s %s", self.name, response.status_code)
        seen = request.META.setdefault("trace.headers", set())
        for header in response.headers:
            if header not in seen:
                log.info("      +%s", header)
        seen.update(response.headers)
        return response

    def process_view(self, *_: Any) -> None:
        """Django calls this hook between finding the view and calling it."""
        if hasattr(self.layer, "process_view"):
            log.info("hook  %s.process_view", self.name)


# --8<-- [end:trace]


# --8<-- [start:log_user]
def log_user(get_response: GetResponse) -> GetResponse:
    """Middleware that writes down who asks for what."""

    def middleware(request: HttpRequest) -> HttpResponse:
        log.info("%s asks for %r", request.user, request.path)
        return get_response(request)

    return middleware


# --8<-- [end:log_user]

LOG_USER = "lab.django_app.request_cycle.log_user"

# --8<-- [start:wrong_order]
WRONG_ORDER = [LOG_USER, *settings.MIDDLEWARE]
# --8<-- [end:wrong_order]
# --8<-- [start:right_order]
RIGHT_ORDER = [*settings.MIDDLEWARE, LOG_USER]
# --8<-- [end:right_order]


# --8<-- [start:wrong_get]
@login_not_required
def wrong_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one published course."""
    course = Course.objects.get(slug=slug, published=True)
    return render(request, "django_app/course_detail.html", {"course": course})


# --8<-- [end:wrong_get]

urlpatterns = [
    path("wrong/<slug:slug>/", wrong_detail),
    path("", include("lab.django_app.urls")),
]
