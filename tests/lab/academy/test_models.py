"""The database itself refuses what must not be, whoever writes it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from django.db import DataError, IntegrityError, transaction
from django.db.models import ProtectedError, RestrictedError

from lab.academy.models import Certificate, Course, Enrollment, Learner, Lesson, Tag, User

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.databases

REFUSED: dict[str, Callable[[], object]] = {
    "two users with one address": lambda: User.objects.bulk_create([User(email="a@b.c"), User(email="a@b.c")]),
    "two learners with one address": lambda: Learner.objects.filter(name="Ama").update(email="kofi@example.com"),
    "two tags of one name": lambda: Tag.objects.filter(name="web").update(name="data"),
    "two courses with one slug": lambda: Course.objects.filter(slug="python").update(slug="django"),
    "a course without a title": lambda: Course.objects.filter(slug="python").update(title=""),
    "a course without a seat": lambda: Course.objects.filter(slug="python").update(seats=0),
    "a course that ends before it starts": lambda: Course.objects.filter(slug="python").update(
        ends_on=datetime.date(2020, 1, 1)
    ),
    "two lessons in one place": lambda: Lesson.objects.filter(course__slug="python").update(position=1),
    "one learner twice in a course": lambda: Enrollment.objects.filter(learner__name="Ama").update(course=1),
    "a grade above 100": lambda: Enrollment.objects.filter(learner__name="Ama").update(grade=101),
    "a grade below 0": lambda: Enrollment.objects.filter(learner__name="Ama").update(grade=-1),
    "two certificates for one enrollment": lambda: Certificate.objects.update(
        enrollment=Certificate.objects.values("enrollment")[:1].get()["enrollment"]
    ),
}


@pytest.mark.parametrize("write", REFUSED.values(), ids=REFUSED)
def test_a_constraint_refuses(academy: None, write: Callable[[], object]) -> None:
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        write()


def test_lessons_go_with_their_course(academy: None) -> None:
    course = Course.objects.get(slug="python")
    course.enrollments.all().delete() if not Certificate.objects.filter(enrollment__course=course) else None
    Certificate.objects.filter(enrollment__course=course).delete()
    course.enrollments.all().delete()
    course.delete()
    assert not Lesson.objects.filter(title__startswith="Python,").exists()


def test_a_course_with_learners_stays(academy: None) -> None:
    with pytest.raises(ProtectedError):
        Course.objects.get(slug="python").delete()


def test_a_learner_with_a_certificate_stays(academy: None) -> None:
    learner = Certificate.objects.select_related("enrollment__learner")[0].enrollment.learner
    with pytest.raises((ProtectedError, RestrictedError)):
        learner.delete()


def test_a_learner_outlives_the_account(academy: None) -> None:
    User.objects.get(email="ama@example.com").delete()
    assert Learner.objects.get(name="Ama").user is None


def test_users_sign_in_with_an_address(db: None) -> None:
    user = User.objects.create_user(" Ama@Example.com ", "seven quiet rivers")
    assert user.email == "ama@example.com"
    assert user.check_password("seven quiet rivers")
    assert not user.is_staff
    assert User.objects.create_superuser("kofi@example.com").is_superuser
    with pytest.raises(ValueError, match="email"):
        User.objects.create_user("")


def test_names(academy: None) -> None:
    enrollment = Certificate.objects.all()[0].enrollment
    assert str(enrollment) == f"{enrollment.learner.name} in {enrollment.course.title}"
    assert str(enrollment.certificate) == f"{enrollment.learner.name} passed {enrollment.course.title}"
    assert str(Lesson.objects.all()[0]) == "Databases, part 1"
    assert str(Tag.objects.all()[0]) == "backend"
