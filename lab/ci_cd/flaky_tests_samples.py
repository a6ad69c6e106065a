# ruff: noqa: D103, S101, S310, S311  (these are tests)
"""Tests that pass and fail without a change of the code. No run of the suite collects them.

The functions that they test stand here too, so that a page can show both.
"""

from __future__ import annotations

import datetime
import random
import threading
import time
import urllib.request

from lab.academy.models import User

PAUSE = 0.0  # of the letter's worker, in seconds; a busy machine takes longer


# --8<-- [start:wrong_order]
seats = {"python": 2}


def test_a_course_starts_with_two_seats() -> None:
    assert seats["python"] == 2


def test_a_learner_takes_a_seat() -> None:
    seats["python"] -= 1
    assert seats["python"] == 1


# --8<-- [end:wrong_order]


# --8<-- [start:wrong_time]
def has_ended(ends_on: datetime.date) -> bool:
    return datetime.date.today() > ends_on


def test_a_course_that_runs_has_not_ended() -> None:
    assert not has_ended(datetime.date(2026, 12, 31))


# --8<-- [end:wrong_time]


# --8<-- [start:wrong_randomness]
def passed(grade: int) -> bool:
    return grade > 60  # the rule says: 60 or more


def test_a_good_grade_passes() -> None:
    assert passed(random.randint(60, 100))


# --8<-- [end:wrong_randomness]


# --8<-- [start:wrong_sets]
def names(text: str) -> list[str]:
    return list(set(text.split()))


def test_each_name_stands_there_once() -> None:
    assert names("Ama Kofi Ama") == ["Ama", "Kofi"]


# --8<-- [end:wrong_sets]


# --8<-- [start:wrong_floats]
WEIGHTS = {"essay": 0.1, "quiz": 0.2, "project": 0.3}


def test_the_weights_add_up() -> None:
    total = 0.0
    for part in set(WEIGHTS):
        total += WEIGHTS[part]
    assert total == 0.6


# --8<-- [end:wrong_floats]


# --8<-- [start:wrong_rows]
def test_the_new_address_stands_first() -> None:
    for name in ("ama", "kofi"):
        User.objects.create_user(f"{name}@example.com")
    User.objects.filter(email="ama@example.com").update(first_name="Ama")
    first = User.objects.all()[0]
    assert first.first_name == "Ama"


# --8<-- [end:wrong_rows]


# --8<-- [start:wrong_concurrency]
def send(outbox: list[str]) -> None:
    time.sleep(PAUSE)  # as long as the mail server takes
    outbox.append("Welcome, Ama")


def test_a_learner_is_welcomed() -> None:
    outbox: list[str] = []
    threading.Thread(target=send, args=[outbox]).start()
    time.sleep(0.1)  # "that is long enough"
    assert outbox == ["Welcome, Ama"]


# --8<-- [end:wrong_concurrency]


# --8<-- [start:wrong_network]
def cedis(dollars: int, url: str) -> float:
    with urllib.request.urlopen(url) as answer:
        return dollars * float(answer.read())


# --8<-- [end:wrong_network]
