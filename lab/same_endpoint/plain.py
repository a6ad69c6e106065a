"""The catalog as a plain Django view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# --8<-- [start:view]
from django import forms
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import Http404, JsonResponse
from django.views.decorators.http import require_safe

from lab.academy.models import Course

if TYPE_CHECKING:
    from django.http import HttpRequest


SIZE = 20  # courses on a page


class Question(forms.Form):
    """What one may ask of the catalog."""

    level = forms.ChoiceField(choices=Course.Level, required=False)
    page = forms.IntegerField(min_value=1, required=False)


def listed(course: Course) -> dict[str, Any]:
    """Return what the catalog shows of a course."""
    return {
        "slug": course.slug,
        "title": course.title,
        "level": course.level,
        "starts_on": course.starts_on,
        "tags": [tag.name for tag in course.tags.all()],
    }


@login_not_required
@require_safe
def catalog(request: HttpRequest) -> JsonResponse:
    """Answer with a page of the published courses."""
    question = Question(request.GET)
    if not question.is_valid():
        return JsonResponse({"errors": question.errors}, status=400)
    courses = Course.objects.filter(published=True).prefetch_related("tags")
    if level := question.cleaned_data["level"]:
        courses = courses.filter(level=level)
    pages = Paginator(courses, SIZE)
    number = question.cleaned_data["page"] or 1
    if number > pages.num_pages:
        raise Http404
    results = [listed(course) for course in pages.page(number)]
    return JsonResponse({"count": pages.count, "results": results})


# --8<-- [end:view]


# --8<-- [start:wrong_catalog]
@login_not_required
def wrong_catalog(request: HttpRequest) -> JsonResponse:
    """Answer with a page of the published courses."""
    courses = Course.objects.filter(published=True).prefetch_related("tags")
    if "level" in request.GET:
        courses = courses.filter(level=request.GET["level"])
    page = Paginator(courses, 20).page(int(request.GET.get("page", 1)))
    return JsonResponse({"results": [course.title for course in page]})


# --8<-- [end:wrong_catalog]
