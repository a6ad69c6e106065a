"""What coverage sees of a small rule, and a floor under it."""

from __future__ import annotations

import math


# --8<-- [start:final_grade]
def final_grade(points: int, late_days: int = 0) -> int:
    """Return 0 to 100: five less for each day late after two free days."""
    grade = points
    if late_days > 2:
        grade -= 5 * (late_days - 2)
    return max(0, min(grade, 100))


# --8<-- [end:final_grade]


# --8<-- [start:raised]
def raised(floor: int, covered: float) -> int:
    """Return the floor for the next run: it rises with the coverage and never sinks."""
    if covered < floor:
        raise SystemExit(f"coverage is {covered:.1f} %, and was {floor} % before")
    return max(floor, math.floor(covered))


# --8<-- [end:raised]
