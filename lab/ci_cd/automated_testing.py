"""One bug for each level of tests, mended, and a way to say of which level a test is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, JsonResponse
from django.urls import path

from lab.academy.models import Course, Learner

if TYPE_CHECKING:
    import pytest


# --8<-- [start:kind]
def kind(item: pytest.Item) -> str:
    """Return what a test of this repository needs, the dearest thing first."""
    marks = {mark.name for mark in item.iter_markers()}
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.nodeid.startswith("docs/"):
        return "blocks of a page"
    if "browser" in marks:
        return "a browser"
    if "services" in marks:
        return "a database or cache server"
    if "slow" in marks:
        return "another program"
    if {"db", "transactional_db"} & fixtures or "django_db" in marks:
        return "a database in memory"
    return "nothing but Python"


# --8<-- [end:kind]


# --8<-- [start:seats_left]
def seats_left(seats: int, enrolled: int) -> int:
    """Return how many more learners a course takes."""
    return max(seats - enrolled, 0)


# --8<-- [end:seats_left]


# --8<-- [start:successful]
def successful() -> int:
    """Return how many learners have passed a course."""
    return Learner.objects.filter(enrollments__grade__gte=60).distinct().count()


# --8<-- [end:successful]


def seats(request: HttpRequest, slug: str) -> JsonResponse:
    """Answer how many seats a course has."""
    return JsonResponse({"seats": Course.objects.get(slug=slug).seats})


urlpatterns = [path("seats/<slug:slug>/", seats)]

FORM = '<form method="post"><button>Join</button></form>'
