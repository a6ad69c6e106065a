# ruff: noqa: D103, S101  (a file of tests)
"""Tests of the register."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import register  # type: ignore[import-not-found]  # it stands beside this file

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


# --8<-- [start:tests]
@pytest.fixture
def course() -> Iterator[sqlite3.Connection]:
    with closing(register.create()) as new:
        yield new


def test_a_course_has_thirty_seats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_SEATS", raising=False)
    assert register.seats() == 30


def test_a_learner_gets_a_seat(course: sqlite3.Connection) -> None:
    register.enroll(course, "Ama")
    assert "Ama" in register.learners(course)


def test_the_list_is_in_order(course: sqlite3.Connection) -> None:
    register.enroll(course, "Kofi")
    register.enroll(course, "Esi")
    assert register.learners(course) == ["Esi", "Kofi"]


def test_a_full_course_refuses(
    course: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_SEATS", "0")
    with pytest.raises(register.CourseIsFullError):
        register.enroll(course, "Ama")


# --8<-- [end:tests]
