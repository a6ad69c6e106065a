"""Questions that cost something, and what is kept of their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db.models import Avg
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.decorators.cache import cache_page

from lab.academy.models import Course, Enrollment

if TYPE_CHECKING:
    import datetime


# --8<-- [start:questions]
def course(slug: str) -> dict[str, Any]:
    """Return a course; the slug has an index."""
    return dict(Course.objects.values("id", "title", "seats").get(slug=slug))


def joined(day: datetime.date) -> int:
    """Return how many joined a course on one day; the day has no index."""
    return Enrollment.objects.filter(enrolled_on=day).count()


def average_grade() -> float | None:
    """Return the average of all grades, for which every row is read."""
    average: float | None = Enrollment.objects.aggregate(a=Avg("grade"))["a"]
    return average


def cached_average_grade() -> float | None:
    """Return the average of all grades, as it was at some time in the last minute."""
    return cache.get_or_set("grades:average", average_grade, timeout=60)


# --8<-- [end:questions]


# --8<-- [start:views]
@login_not_required
def courses(request: HttpRequest) -> HttpResponse:
    """Show twenty courses."""
    shown = Course.objects.filter(published=True)[:20]
    return render(request, "django_app/course_list.html", {"courses": shown})


@login_not_required
def average(request: HttpRequest) -> JsonResponse:
    """Answer with the average of all grades."""
    return JsonResponse({"average": average_grade()})


@login_not_required
def cached_average(request: HttpRequest) -> JsonResponse:
    """Answer with the average of the last minute."""
    return JsonResponse({"average": cached_average_grade()})


cached_courses = cache_page(60)(courses)
# --8<-- [end:views]

urlpatterns = [
    path("average/", average),
    path("cached-average/", cached_average),
    path("twenty-courses/", courses),
    path("cached-courses/", cached_courses),
    path("", include("lab.urls")),
]
