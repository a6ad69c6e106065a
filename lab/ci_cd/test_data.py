# mypy: disallow-untyped-calls=False
"""The data that a test needs, from factories, a builder and a file."""

from __future__ import annotations

import datetime
from typing import Any

from factory.declarations import LazyAttribute, Sequence, SubFactory, Trait
from factory.django import DjangoModelFactory

from lab.academy.enrolling import enroll
from lab.academy.models import Course, Enrollment, Learner


# --8<-- [start:factories]
class CourseFactory(DjangoModelFactory[Course]):
    """A course that anybody can join."""

    class Meta:
        model = Course

    title = Sequence("Course {}".format)
    slug = Sequence("course-{}".format)
    published = True
    starts_on = datetime.date(2026, 1, 5)
    ends_on = LazyAttribute(
        lambda course: course.starts_on + datetime.timedelta(weeks=6)
    )

    class Params:
        draft = Trait(published=False)


class LearnerFactory(DjangoModelFactory[Learner]):
    """Somebody with an address of their own."""

    class Meta:
        model = Learner

    name = Sequence("Learner {}".format)
    email = Sequence("learner-{}@example.com".format)


class EnrollmentFactory(DjangoModelFactory[Enrollment]):
    """A seat, with a learner and a course for it."""

    class Meta:
        model = Enrollment

    learner = SubFactory(LearnerFactory)
    course = SubFactory(CourseFactory)


# --8<-- [end:factories]


# --8<-- [start:full_course]
def full_course(seats: int = 1, **fields: Any) -> Course:
    """Return a course whose seats are all taken."""
    course = CourseFactory.create(seats=seats, **fields)
    for learner in LearnerFactory.create_batch(seats):
        enroll(learner, course)
    return course


# --8<-- [end:full_course]
