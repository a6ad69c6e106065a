"""Mistakes, and tests that fail. Each section becomes a file, which pytest then runs."""

# mypy: ignore-errors
# Sections define the same names once more, as the files do that they become.

# ruff: noqa: D103, E402, F811, S101

from lab.python.testing import passed


# --8<-- [start:wrong_passed]
def passed(grades: dict[str, int]) -> list[str]:
    return sorted(name for name, grade in grades.items() if grade > 50)


# --8<-- [end:wrong_passed]


# --8<-- [start:test_passed]
def test_who_passed() -> None:
    grades = {"Esi": 50, "Ama": 71, "Kofi": 48}
    assert passed(grades) == ["Ama", "Esi"]


def test_nobody_passed() -> None:
    assert passed({"Kofi": 48}) == []


# --8<-- [end:test_passed]


# --8<-- [start:wrong_fixture]
import pytest


@pytest.fixture(scope="module")
def learners() -> list[str]:
    return ["Esi"]


def test_ama_joins(learners: list[str]) -> None:
    learners.append("Ama")
    assert learners == ["Esi", "Ama"]


def test_kofi_joins(learners: list[str]) -> None:
    learners.append("Kofi")
    assert learners == ["Esi", "Kofi"]


# --8<-- [end:wrong_fixture]


# --8<-- [start:wrong_mock]
from unittest.mock import Mock


def congratulate(grades, mailer):
    for name in passed(grades):
        mailer.deliver(name, "You passed")


def test_a_mail_is_sent() -> None:
    mailer = Mock()
    congratulate({"Ama": 71}, mailer)
    mailer.deliver.assert_called_once_with("Ama", "You passed")


# --8<-- [end:wrong_mock]


# --8<-- [start:wrong_lines]
def write_line(name: str, grade: int) -> str:
    return f"{name},{grade}"


def read_line(line: str) -> tuple[str, int]:
    parts = line.split(",")
    return parts[0], int(parts[1])


# --8<-- [end:wrong_lines]


# --8<-- [start:test_lines]
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=500, derandomize=True, deadline=None)
@given(name=st.text(), grade=st.integers(0, 100))
def test_what_was_written_can_be_read(name: str, grade: int) -> None:
    assert read_line(write_line(name, grade)) == (name, grade)


# --8<-- [end:test_lines]


# --8<-- [start:wrong_test]
GRADES = {"django": [71, 480]}


def test_grades_are_at_most_100() -> None:
    for grade in GRADES.get("Django", []):
        assert grade <= 100


# --8<-- [end:wrong_test]
