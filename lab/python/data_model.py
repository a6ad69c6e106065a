"""The data model: the methods that Python calls for its own syntax."""

from __future__ import annotations

from functools import total_ordering
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


# --8<-- [start:roster]
class Roster:
    """The learners of a course, in the order in which they joined."""

    def __init__(self, course: str, names: Iterable[str] = ()) -> None:
        self.course = course
        self._names = list(names)

    def __repr__(self) -> str:
        return f"Roster({self.course!r}, {self._names!r})"

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Roster):
            return NotImplemented
        return self.course == other.course and self._names == other._names

    def __add__(self, other: Roster) -> Roster:
        if not isinstance(other, Roster):
            return NotImplemented
        return Roster(f"{self.course}, {other.course}", [*self, *other])


# --8<-- [end:roster]


# --8<-- [start:invite]
def invite(roster: Roster | None) -> str:
    """Say whom the letter goes to."""
    if roster is None:
        return "everybody"
    return ", ".join(roster) or "nobody"


# --8<-- [end:invite]


# --8<-- [start:grade]
@total_ordering
class Grade:
    """Points from 0 to 100. A grade never changes, so it can be a key."""

    def __init__(self, points: int) -> None:
        self._points = points

    @property
    def points(self) -> int:
        """How many points it is."""
        return self._points

    def __repr__(self) -> str:
        return f"Grade({self._points})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grade):
            return NotImplemented
        return self._points == other._points

    def __lt__(self, other: Grade) -> bool:
        if not isinstance(other, Grade):
            return NotImplemented
        return self._points < other._points

    def __hash__(self) -> int:
        return hash(self._points)


# --8<-- [end:grade]


# --8<-- [start:proxy]
class Logged:
    """Stands in for another object, and notes which attributes are asked for."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self.target, name)


# --8<-- [end:proxy]
