# ruff: noqa: D103, S101  (a file of tests)
"""Tests of the register."""

from __future__ import annotations

import os

import pytest
import register  # type: ignore[import-not-found]  # it stands beside this file

# --8<-- [start:wrong_tests]
course = register.create()


def test_a_course_has_thirty_seats() -> None:
    assert register.seats() == 30


def test_a_learner_gets_a_seat() -> None:
    register.enroll(course, "Ama")
    assert "Ama" in register.learners(course)


def test_the_list_is_in_order() -> None:
    register.enroll(course, "Kofi")
    register.enroll(course, "Esi")
    assert register.learners(course) == ["Esi", "Kofi"]


def test_a_full_course_refuses() -> None:
    os.environ["COURSE_SEATS"] = "0"
    with pytest.raises(register.CourseIsFullError):
        register.enroll(course, "Ama")


# --8<-- [end:wrong_tests]
