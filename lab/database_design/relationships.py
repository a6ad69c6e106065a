"""Two ways to say who takes a course."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from lab.academy.models import Course, Lesson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from lab.academy.models import Learner


# --8<-- [start:wrong_replace]
def wrong_replace(course: Course, learners: Iterable[Learner]) -> None:
    """Let these be the learners of a course."""
    course.learners.clear()
    course.learners.add(*learners)


# --8<-- [end:wrong_replace]


# --8<-- [start:replace]
def replace(course: Course, learners: Iterable[Learner]) -> None:
    """Let these be the learners of a course."""
    course.learners.set(learners)


# --8<-- [end:replace]


# --8<-- [start:wrong_with_long_lessons]
def wrong_with_long_lessons() -> QuerySet[Course]:
    """Return the courses that have a lesson of 45 minutes or more."""
    return Course.objects.filter(lessons__minutes__gte=45)


# --8<-- [end:wrong_with_long_lessons]


# --8<-- [start:with_long_lessons]
def with_long_lessons() -> QuerySet[Course]:
    """Return the courses that have a lesson of 45 minutes or more."""
    long = Lesson.objects.filter(course=OuterRef("pk"), minutes__gte=45)
    return Course.objects.filter(Exists(long))


# --8<-- [end:with_long_lessons]
