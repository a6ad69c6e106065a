"""Sign-ups of learners for courses, and the questions that the office asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.text import slugify

from lab.academy.models import Course, Enrollment, Learner, Tag

if TYPE_CHECKING:
    import datetime

    from lab.challenges.database_relationships.sheet import Form


# --8<-- [start:write]
@transaction.atomic
def sign_up(form: Form) -> None:
    """Store what is new in a form: a learner, a course, an enrollment."""
    learner, _ = Learner.objects.get_or_create(
        email=form["email"].lower(), defaults={"name": form["learner"]}
    )
    course, new = Course.objects.get_or_create(
        slug=slugify(form["course"]),
        title=form["course"],
        defaults={"starts_on": form["starts_on"], "ends_on": form["ends_on"]},
    )
    if new:
        names = {name.strip() for name in form["tags"].split(",")} - {""}
        tags = [Tag.objects.get_or_create(name=name)[0] for name in sorted(names)]
        course.tags.set(tags)
    learner.enrollments.get_or_create(course=course)


def leave(email: str, course: str) -> None:
    """Take a learner out of a course."""
    Enrollment.objects.filter(
        learner__email=email.lower(), course__title=course
    ).delete()


def postpone(course: str, starts_on: datetime.date, ends_on: datetime.date) -> None:
    """Move a course to other days."""
    Course.objects.filter(title=course).update(starts_on=starts_on, ends_on=ends_on)


# --8<-- [end:write]


# --8<-- [start:read]
def timetable() -> list[tuple[str, datetime.date]]:
    """Return the courses with their first days."""
    return list(Course.objects.values_list("title", "starts_on"))


def tagged(tag: str) -> set[str]:
    """Return the courses that have a tag."""
    courses = Course.objects.filter(tags__name=tag)
    return set(courses.values_list("title", flat=True))


def report() -> dict[str, list[str]]:
    """Return the learners of each course, in alphabetical order."""
    return {
        course.title: [learner.name for learner in course.learners.all()]
        for course in Course.objects.prefetch_related("learners")
    }


# --8<-- [end:read]
