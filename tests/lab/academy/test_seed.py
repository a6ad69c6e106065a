"""The academy's data: any size, and the same every time."""

from __future__ import annotations

import hashlib

import pytest
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection

from lab.academy.models import Certificate, Course, Enrollment, Learner, Lesson, Tag, User
from lab.academy.seed import seed


def fingerprint() -> str:
    """Return a hash of everything that was seeded, without the users' unusable passwords."""
    rows = [
        serializers.serialize("json", model.objects.order_by("pk")).rstrip("\n")
        for model in (Tag, Course, Lesson, Learner, Enrollment, Certificate)
    ]
    return hashlib.sha256("".join(rows).encode()).hexdigest()


@pytest.mark.databases
def test_numbers(academy: None) -> None:
    assert Course.objects.count() == 10
    assert Learner.objects.count() == 10
    assert Enrollment.objects.count() == 30
    assert [learner.name for learner in Learner.objects.order_by("pk")[:3]] == ["Ama", "Kofi", "Esi"]
    assert Certificate.objects.filter(enrollment__grade__lt=80).count() == 0
    assert Course.objects.filter(published=False).count() == 1


@pytest.mark.databases("sqlite", "postgresql")
def test_the_same_numbers_make_the_same_data(academy: None) -> None:
    assert fingerprint() == "651e8d4306b65e06ec6623242b7112f7ebf187acd33fe19bfaa7021a3ff26b6a"


def test_the_same_data_where_a_bulk_insert_tells_no_keys(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on MySQL."""
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)
    seed(courses=2, learners=4)
    assert Learner.objects.get(name="Ama").user == User.objects.get(email="ama@example.com")
    assert Enrollment.objects.count() == 8


def test_nobody_can_sign_in(academy: None) -> None:
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_courses_without_learners(db: None) -> None:
    seed(courses=2, learners=0)
    assert (Course.objects.count(), Learner.objects.count()) == (2, 0)


def test_more_courses_a_learner_than_there_are(db: None) -> None:
    seed(courses=2, learners=3)
    assert Enrollment.objects.count() == 6


@pytest.mark.databases
def test_the_command(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_academy", courses=200, learners=500)
    assert capsys.readouterr().out == "200 courses, 500 learners, 1500 enrollments\n"
    call_command("seed_academy", if_empty=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("numbers", [{"courses": 0}, {"learners": -1}])
def test_the_command_refuses_other_numbers(db: None, numbers: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="1 or more"):
        call_command("seed_academy", **numbers)
    assert Course.objects.count() == 0


def test_the_command_leaves_an_academy_with_data_alone(academy: None) -> None:
    with pytest.raises(CommandError, match="the academy is not empty"):
        call_command("seed_academy")
    assert Course.objects.count() == 10
