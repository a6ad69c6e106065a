"""The card of a course, kept in the cache, and the one function that renames a course."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.cache import cache
from django.db import transaction

from lab.academy.models import Course


def card(pk: int) -> dict[str, Any]:
    """Return what a list shows of a course, kept for an hour."""
    found: dict[str, Any] | None = cache.get(f"course:{pk}:card")
    if found is None:
        found = dict(Course.objects.values("id", "title").get(pk=pk))
        cache.set(f"course:{pk}:card", found, timeout=3600)
    return found


# --8<-- [start:rename]
@transaction.atomic
def rename(pk: int, title: str) -> None:
    """Give a course and its lessons another title."""
    course = Course.objects.select_for_update().get(pk=pk)
    course.title = title
    course.save(update_fields=["title"])
    transaction.on_commit(partial(cache.delete, f"course:{pk}:card"))
    for lesson in course.lessons.all():
        lesson.title = f"{title}, part {lesson.position}"
        lesson.save(update_fields=["title"])


# --8<-- [end:rename]
