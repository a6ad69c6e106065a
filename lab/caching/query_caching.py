"""Answers of the database that are kept: what they are, and where they are kept."""

from __future__ import annotations

import functools
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.core.paginator import Paginator
from django.db.models import Avg, Count, QuerySet

from lab.academy.models import Course, Enrollment, Learner

if TYPE_CHECKING:
    from collections.abc import Mapping


# --8<-- [start:popular]
def popular_courses(level: str) -> list[Mapping[str, Any]]:
    """Return the courses of a level, with the number of their learners."""
    courses = Course.objects.filter(published=True, level=level)
    most = courses.annotate(joined=Count("enrollments")).order_by("-joined", "title")
    return list(most.values("title", "slug", "joined"))


def cached_popular_courses(level: str) -> Any:
    """Return them as they were at some time in the last minute."""
    key = f"courses:popular:{level}"
    return cache.get_or_set(key, partial(popular_courses, level), timeout=60)


# --8<-- [end:popular]


# --8<-- [start:wrong_call]
def wrong_popular_courses(level: str) -> Any:
    """Return them, and ask the database each time."""
    key = f"courses:popular:{level}"
    return cache.get_or_set(key, popular_courses(level), timeout=60)


# --8<-- [end:wrong_call]


# --8<-- [start:wrong_queryset]
def wrong_courses(level: str) -> Any:
    """Return the courses of a level, as a queryset that was kept."""
    courses = Course.objects.filter(published=True, level=level)
    return cache.get_or_set(f"courses:{level}", courses, timeout=60)


# --8<-- [end:wrong_queryset]


# --8<-- [start:wrong_object]
def wrong_course(slug: str) -> Any:
    """Return a course as it was at some time in the last minute."""
    course = partial(Course.objects.get, slug=slug)
    return cache.get_or_set(f"course:{slug}", course, timeout=60)


# --8<-- [end:wrong_object]


def average_grade(slug: str) -> float | None:
    """Return the average grade of a course; None if nobody has one."""
    grades = Enrollment.objects.filter(course__slug=slug)
    average: float | None = grades.aggregate(average=Avg("grade"))["average"]
    return average


# --8<-- [start:wrong_none]
def wrong_average_grade(slug: str) -> float | None:
    """Return the average grade of a course; None if nobody has one."""
    average: float | None = cache.get(f"course:{slug}:average")
    if average is None:
        average = average_grade(slug)
        cache.set(f"course:{slug}:average", average, timeout=60)
    return average


# --8<-- [end:wrong_none]


# --8<-- [start:none]
MISSING = object()


def cached_average_grade(slug: str) -> float | None:
    """Return the average grade of a course; None if nobody has one."""
    average: float | None = cache.get(f"course:{slug}:average", MISSING)
    if average is MISSING:
        average = average_grade(slug)
        cache.set(f"course:{slug}:average", average, timeout=60)
    return average


# --8<-- [end:none]


# --8<-- [start:cards]
def course_cards(ids: list[int]) -> dict[int, Any]:
    """Return what a list shows of these courses, by their ids."""
    keys = {pk: f"course:{pk}:card" for pk in ids}
    found = cache.get_many(keys.values())
    cards = {pk: found[key] for pk, key in keys.items() if key in found}
    if missing := keys.keys() - cards.keys():
        rows = Course.objects.filter(pk__in=missing).values("id", "title", "seats")
        new = {row["id"]: row for row in rows}
        cache.set_many({keys[pk]: row for pk, row in new.items()}, timeout=60)
        cards |= new
    return cards


# --8<-- [end:cards]


def course_cards_one_by_one(ids: list[int]) -> dict[int, Any]:
    """Return the same, with a trip to the cache for each."""
    return {
        pk: cache.get_or_set(
            f"course:{pk}:card",
            Course.objects.filter(pk=pk).values("id", "title", "seats").get,
            timeout=60,
        )
        for pk in ids
    }


# --8<-- [start:count]
class CountedPages(Paginator):
    """Pages of a list whose length is a minute old at most."""

    def __init__(self, rows: QuerySet[Any], per_page: int, key: str) -> None:
        super().__init__(rows, per_page)
        self.rows, self.key = rows, f"count:{key}"

    @cached_property
    def count(self) -> Any:
        """Return how many rows there are."""
        return cache.get_or_set(self.key, self.rows.count, timeout=60)


# --8<-- [end:count]


# --8<-- [start:memo]
class Overview:
    """What one page says about a learner; it is made for one request."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    @cached_property
    def enrollments(self) -> list[Enrollment]:
        """Return their enrollments; the database is asked once."""
        return list(self.learner.enrollments.select_related("course"))

    @property
    def passed(self) -> int:
        """Return how many courses they passed."""
        return sum((each.grade or 0) >= 50 for each in self.enrollments)

    @property
    def open(self) -> int:
        """Return how many have no grade yet."""
        return sum(each.grade is None for each in self.enrollments)


# --8<-- [end:memo]


# --8<-- [start:wrong_functools]
@functools.cache
def wrong_enrollments(learner: Learner) -> list[Enrollment]:
    """Return their enrollments; the database is asked once."""
    return list(learner.enrollments.select_related("course"))


# --8<-- [end:wrong_functools]
