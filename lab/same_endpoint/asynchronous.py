"""The catalog as an async Django view."""

from __future__ import annotations

from typing import TYPE_CHECKING

# --8<-- [start:view]
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, JsonResponse
from django.views.decorators.http import require_safe

from lab.academy.models import Course
from lab.same_endpoint.plain import SIZE, Question, listed

if TYPE_CHECKING:
    from django.http import HttpRequest


@login_not_required
@require_safe
async def catalog(request: HttpRequest) -> JsonResponse:
    """Answer with a page of the published courses."""
    question = Question(request.GET)
    if not question.is_valid():
        return JsonResponse({"errors": question.errors}, status=400)
    courses = Course.objects.filter(published=True).prefetch_related("tags")
    if level := question.cleaned_data["level"]:
        courses = courses.filter(level=level)
    count = await courses.acount()
    start = SIZE * ((question.cleaned_data["page"] or 1) - 1)
    if start and start >= count:
        raise Http404
    page = courses[start : start + SIZE]
    return JsonResponse(
        {"count": count, "results": [listed(course) async for course in page]}
    )


# --8<-- [end:view]
