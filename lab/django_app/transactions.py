"""Writing while others write: what belongs together, who waits, what happens after the commit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.db.models import F

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


# --8<-- [start:wrong_move]
def wrong_move(learner: Learner, old: Course, new: Course) -> Enrollment:
    """Move a learner from one course to another."""
    Enrollment.objects.get(learner=learner, course=old).delete()
    return enroll(learner, new)


# --8<-- [end:wrong_move]


# --8<-- [start:move]
@transaction.atomic
def move(learner: Learner, old: Course, new: Course) -> Enrollment:
    """Move a learner from one course to another."""
    Enrollment.objects.get(learner=learner, course=old).delete()
    return enroll(learner, new)


# --8<-- [end:move]


# --8<-- [start:wrong_enroll_all]
@transaction.atomic
def wrong_enroll_all(course: Course, learners: Iterable[Learner]) -> None:
    """Enroll learners; who has joined before is skipped."""
    for learner in learners:
        try:
            Enrollment.objects.create(course=course, learner=learner)
        except IntegrityError:
            continue


# --8<-- [end:wrong_enroll_all]


# --8<-- [start:enroll_all]
@transaction.atomic
def enroll_all(course: Course, learners: Iterable[Learner]) -> None:
    """Enroll learners; who has joined before is skipped."""
    for learner in learners:
        try:
            with transaction.atomic():
                Enrollment.objects.create(course=course, learner=learner)
        except IntegrityError:
            continue


# --8<-- [end:enroll_all]


# --8<-- [start:wrong_join]
@transaction.atomic
def wrong_join(learner: Learner, courses: Iterable[Course]) -> None:
    """Give a learner a seat in each of the courses, or in none."""
    for course in courses:
        enroll(learner, course)
        send_mail("Welcome", f"Your seat: {course}", None, [learner.email])


# --8<-- [end:wrong_join]


# --8<-- [start:join]
@transaction.atomic
def join(learner: Learner, courses: Iterable[Course]) -> None:
    """Give a learner a seat in each of the courses, or in none."""
    for course in courses:
        enroll(learner, course)
        text = f"Your seat: {course}"
        welcome = partial(send_mail, "Welcome", text, None, [learner.email])
        transaction.on_commit(welcome, robust=True)


# --8<-- [end:join]


# --8<-- [start:wrong_enroll]
@transaction.atomic
def wrong_enroll(learner: Learner, course: Course) -> Enrollment:
    """Give a learner a seat in a course."""
    if course.enrollments.count() >= course.seats:
        raise CannotEnroll("the course is full")
    return Enrollment.objects.create(learner=learner, course=course)


# --8<-- [end:wrong_enroll]


# --8<-- [start:wrong_add_seats]
def wrong_add_seats(course: Course, more: int) -> None:
    """Add seats to a course."""
    course.seats += more
    course.save(update_fields=["seats"])


# --8<-- [end:wrong_add_seats]


# --8<-- [start:add_seats]
def add_seats(course: Course, more: int) -> None:
    """Add seats to a course."""
    Course.objects.filter(pk=course.pk).update(seats=F("seats") + more)


# --8<-- [end:add_seats]


# --8<-- [start:wrong_register]
def wrong_register(name: str, email: str) -> Learner:
    """Return the learner of that name, a new one if there is none."""
    return Learner.objects.get_or_create(name=name, defaults={"email": email})[0]


# --8<-- [end:wrong_register]


# --8<-- [start:register]
def register(name: str, email: str) -> Learner:
    """Return the learner with that address, a new one if there is none."""
    return Learner.objects.get_or_create(email=email, defaults={"name": name})[0]


# --8<-- [end:register]


# --8<-- [start:import_grades]
def import_grades(course: Course, grades: Mapping[Learner, int]) -> None:
    """Store the grades of a course; who is not in it yet joins it."""
    Enrollment.objects.bulk_create(
        [
            Enrollment(course=course, learner=learner, grade=grade)
            for learner, grade in grades.items()
        ],
        update_conflicts=True,
        unique_fields=["learner", "course"],
        update_fields=["grade"],
    )


# --8<-- [end:import_grades]
