# ruff: noqa: D103, S101  (these are tests)
"""Tests that run every line and notice little, and a function that they pass."""

from __future__ import annotations

from lab.ci_cd.coverage import final_grade


# --8<-- [start:wrong_lines]
def test_a_late_grade() -> None:
    assert final_grade(80, late_days=4) == 70


# --8<-- [end:wrong_lines]


# --8<-- [start:wrong_branches]
def test_a_grade_in_time() -> None:
    assert final_grade(80) == 80


# --8<-- [end:wrong_branches]


# --8<-- [start:wrong_final_grade]
def wrong_final_grade(points: int, late_days: int = 0) -> int:
    """Return 0 to 100: five less for each day late after two free days."""
    grade = points
    if late_days > 2:
        grade -= 5 * (late_days - 2)
    return grade


# --8<-- [end:wrong_final_grade]


# --8<-- [start:wrong_no_assert]
def test_a_grade_is_computed() -> None:
    final_grade(80)
    final_grade(80, late_days=4)


# --8<-- [end:wrong_no_assert]
