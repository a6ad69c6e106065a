"""What views and context processors hand to templates, and HTML made in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404, render
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from lab.academy.models import Course

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


# --8<-- [start:syllabus]
def syllabus(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a published course consists of."""
    course = get_object_or_404(Course, slug=slug, published=True)
    context = {"course": course, "lessons": course.lessons.all()}
    return render(request, "django_app/syllabus.html", context)


# --8<-- [end:syllabus]


# --8<-- [start:wrong_badge]
def wrong_badge(course: Course) -> str:
    """Return the title of a course as HTML."""
    return mark_safe(f"<b>{course.title}</b>")  # noqa: S308


# --8<-- [end:wrong_badge]


# --8<-- [start:badge]
def badge(course: Course) -> str:
    """Return the title of a course as HTML."""
    return format_html("<b>{}</b>", course.title)


# --8<-- [end:badge]


# --8<-- [start:wrong_open_courses]
def wrong_open_courses(request: HttpRequest) -> dict[str, Any]:
    """Give every template the number of courses."""
    return {"open_courses": Course.objects.filter(published=True).count()}


# --8<-- [end:wrong_open_courses]


# --8<-- [start:open_courses]
def open_courses(request: HttpRequest) -> dict[str, Any]:
    """Give every template a way to ask for the number of courses."""
    return {"open_courses": Course.objects.filter(published=True).count}


# --8<-- [end:open_courses]


# --8<-- [start:wrong_overview]
def wrong_overview(request: HttpRequest) -> HttpResponse:
    """Show the published courses with their tags."""
    courses = Course.objects.filter(published=True)
    return render(request, "django_app/overview.html", {"courses": courses})


# --8<-- [end:wrong_overview]


# --8<-- [start:overview]
def overview(request: HttpRequest) -> HttpResponse:
    """Show the published courses with their tags."""
    courses = Course.objects.filter(published=True)
    courses = courses.prefetch_related("lessons", "tags")
    return render(request, "django_app/overview.html", {"courses": courses})


# --8<-- [end:overview]
