"""A page that announces the best of a course, on top of code with a bug."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.html import format_html

from lab.academy.models import Course
from lab.practices.testing import best, read_grades, wrong_read_grades

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("academy.announce")

FORM = """<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="{}">
<textarea name="grades"></textarea><button>Announce</button></form>"""


# --8<-- [start:announce]
@login_not_required
def announce(
    request: HttpRequest, slug: str, read: Callable[[str], dict[str, int]]
) -> HttpResponse:
    """Take the grades of a course, and say whose is the best."""
    course = get_object_or_404(Course, slug=slug)
    if request.method != "POST":
        return HttpResponse(format_html(FORM, get_token(request)))
    winner = best(read(request.POST["grades"]))
    logger.info("best of %s: %s", course.slug, winner)
    return HttpResponse(format_html("<p>Best grade: {}</p>", winner))


# --8<-- [end:announce]

urlpatterns = [
    path("wrong/<slug:slug>/", announce, {"read": wrong_read_grades}),
    path("<slug:slug>/", announce, {"read": read_grades}),
]
