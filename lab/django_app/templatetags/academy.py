"""Tags for the academy's pages: ``{% load academy %}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import template
from django.utils.html import format_html

if TYPE_CHECKING:
    from lab.academy.models import Course

register = template.Library()


# --8<-- [start:tags]
@register.simple_tag
def duration(minutes: int) -> str:
    """``{% duration 90 %}`` prints 1 h 30 min."""
    return f"{minutes // 60} h {minutes % 60} min"


@register.inclusion_tag("django_app/_seats.html")
def seats(course: Course) -> dict[str, int]:
    """``{% seats course %}`` asks the database and renders a fragment."""
    return {"left": course.seats - course.enrollments.count()}


@register.simple_block_tag
def callout(content: str, kind: str) -> str:
    """``{% callout "info" %}…{% endcallout %}`` frames its content."""
    return format_html('<aside class="{}">{}</aside>', kind, content)


# --8<-- [end:tags]
