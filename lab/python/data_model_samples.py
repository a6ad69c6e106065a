"""Special methods, each wrong on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.python.data_model import Roster


# --8<-- [start:wrong_invite]
def wrong_invite(roster: Roster | None) -> str:
    """Say whom the letter goes to."""
    if not roster:
        return "everybody"
    return ", ".join(roster)


# --8<-- [end:wrong_invite]


# --8<-- [start:wrong_grade]
class WrongGrade:
    """Points from 0 to 100."""

    def __init__(self, points: int) -> None:
        self.points = points

    def __eq__(self, other: Any) -> bool:
        return bool(self.points == other.points)

    def __hash__(self) -> int:
        return hash(self.points)


# --8<-- [end:wrong_grade]
