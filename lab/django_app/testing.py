# ruff: noqa: D103, PT017, S101  (a test is a test)
"""What the page on testing tests, and the factories that its tests use."""

from __future__ import annotations

import datetime
import itertools
from typing import TYPE_CHECKING, Any

from django.core.mail import send_mail
from django.db import transaction
from django.http import JsonResponse

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner

if TYPE_CHECKING:
    from django.http import HttpRequest

# --8<-- [start:factories]
numbers = itertools.count(1)


def make_course(**fields: Any) -> Course:
    """Store a published course; a test names only the fields that it is about."""
    n = next(numbers)
    day = datetime.date(2026, 9, 1)
    defaults = {
        "title": f"Course {n}",
        "slug": f"course-{n}",
        "published": True,
        "starts_on": day,
        "ends_on": day + datetime.timedelta(weeks=6),
    }
    return Course.objects.create(**{**defaults, **fields})


def make_learner(name: str = "Ama", **fields: Any) -> Learner:
    """Store a learner, with an address that nobody else has."""
    fields.setdefault("email", f"{name.lower()}-{next(numbers)}@example.com")
    return Learner.objects.create(name=name, **fields)


# --8<-- [end:factories]


# --8<-- [start:timetable]
def timetable(request: HttpRequest) -> JsonResponse:
    """List the lessons of every published course, for everybody who is signed in."""
    courses = Course.objects.filter(published=True).prefetch_related("lessons")
    return JsonResponse(
        {
            course.title: [lesson.title for lesson in course.lessons.all()]
            for course in courses
        }
    )


# --8<-- [end:timetable]


# --8<-- [start:join]
@transaction.atomic
def join(learner: Learner, course: Course) -> Enrollment:
    """Enroll a learner, and write to them once that is stored."""
    enrollment = enroll(learner, course)
    transaction.on_commit(
        lambda: send_mail("Welcome", f"You joined {course}.", None, [learner.email])
    )
    return enrollment


# --8<-- [end:join]


# --8<-- [start:wrong_lock]
def wrong_lock(slug: str) -> Course:
    """Lock a course, and forget that a lock lasts as long as its transaction."""
    return Course.objects.select_for_update().get(slug=slug)


# --8<-- [end:wrong_lock]


# --8<-- [start:wrong_full_course]
def wrong_test_a_full_course_takes_nobody() -> None:
    course = make_course(seats=1)
    enroll(make_learner("Ama"), course)
    try:
        enroll(make_learner("Kofi"), course)
    except CannotEnroll as error:
        assert "full" in str(error)


# --8<-- [end:wrong_full_course]
