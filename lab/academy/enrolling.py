"""The rules of joining a course, in one place for every page, API and test."""

from __future__ import annotations

from django.db import transaction

from lab.academy.models import Course, Enrollment, Learner


class CannotEnroll(Exception):  # noqa: N818  (it reads as what it says: cannot enroll)
    """A rule of the academy forbids this enrollment; the text says which."""


# --8<-- [start:enroll]
@transaction.atomic
def enroll(learner: Learner, course: Course) -> Enrollment:
    """Give a learner a seat in a course.

    Raises:
        CannotEnroll: The course is a draft or full, or the learner is in it.
    """
    # Whoever wants a seat of this course waits here until the others are done.
    course = Course.objects.select_for_update().get(pk=course.pk)
    if not course.published:
        raise CannotEnroll("the course is not open yet")
    if course.enrollments.filter(learner=learner).exists():
        raise CannotEnroll("you have joined this course before")
    if course.enrollments.count() >= course.seats:
        raise CannotEnroll("the course is full")
    return Enrollment.objects.create(learner=learner, course=course)


# --8<-- [end:enroll]
