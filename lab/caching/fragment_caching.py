"""Parts of pages that are kept, and what each of them depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.core.cache.utils import make_template_fragment_key
from django.db.models import Count
from django.shortcuts import render
from django.urls import path

from lab.academy.models import Course

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


# --8<-- [start:view]
def most_joined(level: str) -> QuerySet[Course, Any]:
    """Return the courses of a level, with the number of their learners."""
    courses = Course.objects.filter(published=True, level=level)
    most = courses.annotate(joined=Count("enrollments")).order_by("-joined", "title")
    return most.values("title", "joined")


@login_not_required
def popular(request: HttpRequest, level: str) -> HttpResponse:
    """Show what is popular, and greet whoever asks."""
    context = {"level": level, "courses": most_joined(level)}
    return render(request, "caching/popular.html", context)


# --8<-- [end:view]


# --8<-- [start:wrong_eager]
@login_not_required
def wrong_popular(request: HttpRequest, level: str) -> HttpResponse:
    """Show what is popular, and greet whoever asks."""
    context = {"level": level, "courses": list(most_joined(level))}
    return render(request, "caching/popular.html", context)


# --8<-- [end:wrong_eager]


# --8<-- [start:forget]
def forget_popular(level: str) -> None:
    """Let the next visitor see what is popular now."""
    cache.delete(make_template_fragment_key("popular", [level]))


# --8<-- [end:forget]


urlpatterns = [
    path("popular/<level>/", popular),
    path("wrong-popular/<level>/", wrong_popular),
]
