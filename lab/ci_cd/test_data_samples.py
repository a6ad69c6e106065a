# ruff: noqa: D101, D103, S101  (these are tests)
# mypy: disallow-untyped-calls=False
"""Data for tests as it should not be made. No run of the suite collects these tests."""

from __future__ import annotations

import pytest
from factory.declarations import LazyAttribute
from factory.django import DjangoModelFactory
from factory.faker import Faker

from lab.academy.models import Course, Learner
from lab.academy.seed import seed


# --8<-- [start:wrong_seeded]
def test_most_courses_are_published() -> None:
    seed(courses=10, learners=10)
    assert Course.objects.filter(published=True).count() == 9


# --8<-- [end:wrong_seeded]


# --8<-- [start:wrong_roster]
@pytest.fixture(scope="module")
def roster() -> list[str]:
    return ["Ama"]


def test_kofi_joins(roster: list[str]) -> None:
    roster.append("Kofi")
    assert "Kofi" in roster


def test_ama_is_alone(roster: list[str]) -> None:
    assert roster == ["Ama"]


# --8<-- [end:wrong_roster]


# --8<-- [start:wrong_learner]
class RandomLearnerFactory(DjangoModelFactory[Learner]):
    class Meta:
        model = Learner

    name = Faker("first_name")
    email = LazyAttribute(lambda one: f"{one.name.lower()}@example.com")


# --8<-- [end:wrong_learner]
