"""Sign-ups of learners for courses, and the questions that the office asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.challenges.database_relationships.sheet import Signup

if TYPE_CHECKING:
    import datetime

    from lab.challenges.database_relationships.sheet import Form


# --8<-- [start:wrong_signups]
def sign_up(form: Form) -> None:
    """Store a form."""
    Signup.objects.create(**form)


def leave(email: str, course: str) -> None:
    """Take a learner out of a course."""
    Signup.objects.filter(email=email, course=course).delete()


def postpone(course: str, starts_on: datetime.date, ends_on: datetime.date) -> None:
    """Move a course to other days."""
    Signup.objects.filter(course=course).update(starts_on=starts_on, ends_on=ends_on)


def timetable() -> list[tuple[str, datetime.date]]:
    """Return the courses with their first days."""
    rows = Signup.objects.order_by("course").values_list("course", "starts_on")
    return list(rows.distinct())


def tagged(tag: str) -> set[str]:
    """Return the courses that have a tag."""
    rows = Signup.objects.filter(tags__contains=tag)
    return set(rows.values_list("course", flat=True))


def report() -> dict[str, list[str]]:
    """Return the learners of each course, in alphabetical order."""
    found = {}
    for course, _ in timetable():
        rows = Signup.objects.filter(course=course).order_by("learner")
        found[course] = [row.learner for row in rows]
    return found


# --8<-- [end:wrong_signups]
