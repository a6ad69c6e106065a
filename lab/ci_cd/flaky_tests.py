# ruff: noqa: D103, S101, S311  (these are tests and hooks of pytest)
"""Tests with one answer for one state of the code, and hooks of pytest that find others."""

from __future__ import annotations

import datetime
import math
import random
import threading
from typing import TYPE_CHECKING

import pytest

from lab.academy.models import User
from lab.ci_cd.flaky_tests_samples import WEIGHTS, has_ended, names, send

if TYPE_CHECKING:
    from collections.abc import Callable

    import time_machine


# --8<-- [start:order]
@pytest.fixture
def seats() -> dict[str, int]:
    return {"python": 2}


def test_a_learner_takes_a_seat(seats: dict[str, int]) -> None:
    seats["python"] -= 1
    assert seats["python"] == 1


# --8<-- [end:order]


# --8<-- [start:time]
def test_a_course_ends_after_its_last_day(
    time_machine: time_machine.TimeMachineFixture,
) -> None:
    last = datetime.date(2026, 12, 31)
    time_machine.move_to("2026-12-31 12:00")
    assert not has_ended(last)
    time_machine.move_to("2027-01-01 12:00")
    assert has_ended(last)


# --8<-- [end:time]


def passed(grade: int) -> bool:
    """Say whether a grade is enough."""
    return grade >= 60


# --8<-- [start:randomness]
@pytest.mark.parametrize("grade", [60, 61, 100])
def test_a_good_grade_passes(grade: int) -> None:
    assert passed(grade)


# --8<-- [end:randomness]


# --8<-- [start:sets]
def test_each_name_stands_there_once() -> None:
    assert sorted(names("Ama Kofi Ama")) == ["Ama", "Kofi"]


def test_the_weights_add_up() -> None:
    assert math.isclose(sum(WEIGHTS.values()), 0.6)


# --8<-- [end:sets]


def test_the_new_address_stands_first() -> None:
    for name in ("ama", "kofi"):
        User.objects.create_user(f"{name}@example.com")
    User.objects.filter(email="ama@example.com").update(first_name="Ama")
    first = User.objects.order_by("email")[0]
    assert first.first_name == "Ama"


# --8<-- [start:concurrency]
def test_a_learner_is_welcomed() -> None:
    outbox: list[str] = []
    worker = threading.Thread(target=send, args=[outbox])
    worker.start()
    worker.join(timeout=10)  # returns as soon as it is done
    assert outbox == ["Welcome, Ama"]


# --8<-- [end:concurrency]


# --8<-- [start:network]
def cedis(dollars: int, rate: Callable[[], float]) -> float:
    return dollars * rate()


def test_dollars_become_cedis() -> None:
    assert cedis(10, lambda: 12.5) == 125


# --8<-- [end:network]


# --8<-- [start:shuffle]
def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if (seed := config.getoption("--shuffle")) is not None:
        random.Random(seed).shuffle(items)


# --8<-- [end:shuffle]


# --8<-- [start:repeat]
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("seed", range(100))


@pytest.fixture(autouse=True)
def repeatable(seed: int) -> None:
    random.seed(seed)


# --8<-- [end:repeat]


# --8<-- [start:quarantine]
def quarantine(until: str, why: str) -> pytest.MarkDecorator:
    """Let a test fail up to a day; from the next day on it counts again."""
    lasts = datetime.date.today() <= datetime.date.fromisoformat(until)
    return pytest.mark.xfail(lasts, reason=f"{why}, until {until}", strict=False)


@quarantine(until="2026-12-15", why="the letter may come late")
def test_the_letter_comes_in_time() -> None:
    test_a_learner_is_welcomed()


# --8<-- [end:quarantine]
