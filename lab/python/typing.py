"""Hints that a checker reads: None, protocols, generics, shapes, and what stops Any."""

from __future__ import annotations

import json
from functools import wraps
from typing import (
    TYPE_CHECKING,
    Literal,
    NewType,
    ParamSpec,
    Protocol,
    Self,
    TypedDict,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


# --8<-- [start:weeks]
def weeks(minutes: int) -> int:
    """Return how long a lesson takes when it is given twice."""
    return minutes * 2


# --8<-- [end:weeks]


def best(grades: dict[str, int]) -> str | None:
    """Return who has the highest grade; None if nobody has one."""
    return max(grades, key=lambda name: grades[name], default=None)


# --8<-- [start:announce]
def announce(grades: dict[str, int]) -> str:
    """Return the line for the notice board."""
    name = best(grades)
    if name is None:
        return "No grades yet"
    return "Best: " + name.upper()


# --8<-- [end:announce]


# --8<-- [start:channel]
class Channel(Protocol):
    """Whatever can send a text to somebody."""

    def send(self, to: str, text: str) -> None:
        """Send it, or raise."""


def welcome(learner: str, channel: Channel) -> None:
    """Greet a learner through a channel."""
    channel.send(learner, "Welcome")


# --8<-- [end:channel]


# --8<-- [start:first]
T = TypeVar("T")


def first(items: Iterable[T], wanted: Callable[[T], bool]) -> T | None:
    """Return the first item that is wanted."""
    return next((item for item in items if wanted(item)), None)


# --8<-- [end:first]


# --8<-- [start:shapes]
Level = Literal["beginner", "advanced"]
LearnerId = NewType("LearnerId", int)
CourseId = NewType("CourseId", int)


class Row(TypedDict):
    """A line of an import, as a dictionary."""

    title: str
    level: Level
    seats: int


def enroll(learner: LearnerId, course: CourseId) -> str:
    """Say who joins what."""
    return f"learner {learner} joins course {course}"


# --8<-- [end:shapes]


# --8<-- [start:counted]
P = ParamSpec("P")
R = TypeVar("R")


def counted(function: Callable[P, R]) -> Callable[P, R]:
    """Print each call of a function, and take exactly its arguments."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        print("calling", function.__name__)
        return function(*args, **kwargs)

    return call


# --8<-- [end:counted]


# --8<-- [start:overload]
@overload
def grade(text: str) -> int: ...
@overload
def grade(text: None) -> None: ...
def grade(text: str | None) -> int | None:
    """Read a grade, where there is one."""
    return None if text is None else int(text)


# --8<-- [end:overload]


# --8<-- [start:self]
class Search:
    """Collects conditions; a subclass gets its own type back."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def having(self, word: str) -> Self:
        """Ask for one more word."""
        self.words.append(word)
        return self


# --8<-- [end:self]


# --8<-- [start:seats]
def seats(body: str) -> int:
    """Read the number of seats from a request.

    Raises:
        ValueError: The body says no such number.
    """
    course: object = json.loads(body)
    match course:
        case {"seats": int(number)}:
            return number
    raise ValueError("seats has to be a number")


# --8<-- [end:seats]
