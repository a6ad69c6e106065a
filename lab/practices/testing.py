"""Grades from a file, and the best of them: with a bug, mended in the wrong place, and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


# --8<-- [start:wrong_read_grades]
def wrong_read_grades(text: str) -> dict[str, int]:
    """Read lines such as "Ama,85"."""
    grades = {}
    for line in text.splitlines():
        name, grade = line.split(",")
        grades[name] = grade
    return grades  # type: ignore[return-value]


# --8<-- [end:wrong_read_grades]


# --8<-- [start:read_grades]
def read_grades(text: str) -> dict[str, int]:
    """Read lines such as "Ama,85"."""
    grades = {}
    for line in text.splitlines():
        name, grade = line.split(",")
        grades[name] = int(grade)
    return grades


# --8<-- [end:read_grades]


# --8<-- [start:best]
def best(grades: Mapping[str, int]) -> str:
    """Return who has the best grade."""
    return max(grades, key=lambda name: grades[name])


def passed(grades: Mapping[str, int]) -> list[str]:
    """Return who earns a certificate."""
    return [name for name, grade in grades.items() if grade >= 80]


# --8<-- [end:best]


# --8<-- [start:wrong_best]
def wrong_best(grades: Mapping[str, int]) -> str:
    """Return who has the best grade."""
    return max(grades, key=lambda name: int(grades[name]))


# --8<-- [end:wrong_best]
