"""The rules of joining a course."""

from __future__ import annotations

import pytest

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner

pytestmark = pytest.mark.databases


@pytest.fixture
def ama(academy: None) -> Learner:
    """A learner who takes no course yet."""
    ama = Learner.objects.get(name="Ama")
    Enrollment.objects.filter(learner=ama, certificate=None).delete()
    return ama


def test_a_seat(ama: Learner) -> None:
    course = Course.objects.filter(published=True).exclude(learners=ama)[0]
    assert enroll(ama, course).grade is None


def test_no_seat_twice(ama: Learner) -> None:
    course = Course.objects.filter(published=True).exclude(learners=ama)[0]
    enroll(ama, course)
    with pytest.raises(CannotEnroll, match="before"):
        enroll(ama, course)


def test_no_seat_in_a_draft(ama: Learner) -> None:
    with pytest.raises(CannotEnroll, match="not open"):
        enroll(ama, Course.objects.filter(published=False)[0])


def test_no_seat_in_a_full_course(ama: Learner) -> None:
    course = Course.objects.filter(published=True, learners__isnull=False).exclude(learners=ama)[0]
    course.seats = course.enrollments.count()
    course.save()
    with pytest.raises(CannotEnroll, match="full"):
        enroll(ama, course)
