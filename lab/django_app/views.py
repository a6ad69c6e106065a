"""Views of the academy's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.shortcuts import get_object_or_404, render

from lab.academy.models import Course

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


# --8<-- [start:courses]
@login_not_required
def course_list(request: HttpRequest) -> HttpResponse:
    """Show the published courses."""
    courses = Course.objects.filter(published=True)
    return render(request, "django_app/course_list.html", {"courses": courses})


@login_not_required
def course_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one published course with its lessons."""
    course = get_object_or_404(Course, slug=slug, published=True)
    return render(request, "django_app/course_detail.html", {"course": course})


# --8<-- [end:courses]
