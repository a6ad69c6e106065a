"""What happens at the dot: how an attribute is looked up, and who may take part."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:lookup]
class Guard:
    """Answers reading and writing: a data descriptor."""

    def __get__(self, instance: object | None, owner: type) -> str:
        return "from the guard"

    def __set__(self, instance: object, value: str) -> None:
        raise AttributeError("the guard takes nothing")


class Offer:
    """Answers reading alone."""

    def __get__(self, instance: object | None, owner: type) -> str:
        return "from the offer"


class Shelf:
    """One attribute of each kind."""

    guarded = Guard()
    offered = Offer()
    plain = "from the class"

    def __getattr__(self, name: str) -> str:
        return f"no {name}"


# --8<-- [end:lookup]


# --8<-- [start:between]
class Between:
    """A number between two others."""

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.place = f"_{name}"

    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else getattr(instance, self.place)

    def __set__(self, instance: object, value: int) -> None:
        if not self.low <= value <= self.high:
            limits = f"{self.low} to {self.high}"
            raise ValueError(f"{self.name} is {value}, not {limits}")
        setattr(instance, self.place, value)


class Exam:
    """Points for three parts of an exam."""

    reading = Between(0, 40)
    writing = Between(0, 40)
    talking = Between(0, 20)

    def __init__(self, reading: int, writing: int, talking: int) -> None:
        self.reading = reading
        self.writing = writing
        self.talking = talking


# --8<-- [end:between]


# --8<-- [start:wrong_between]
class WrongBetween:
    """A number between two others."""

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high

    def __get__(self, instance: object | None, owner: type) -> int:
        return self.value

    def __set__(self, instance: object, value: int) -> None:
        if not self.low <= value <= self.high:
            raise ValueError(f"{value} is out of range")
        self.value = value


# --8<-- [end:wrong_between]


class WrongExam:
    """Points for the first part of an exam."""

    reading = WrongBetween(0, 40)

    def __init__(self, reading: int) -> None:
        self.reading = reading


# --8<-- [start:wrong_counted]
class WrongCounted:
    """A decorator that counts the calls of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Count, then call."""
        self.calls += 1
        return self.function(*args, **kwargs)


# --8<-- [end:wrong_counted]


# --8<-- [start:counted]
class Counted(WrongCounted):
    """The same, for methods too."""

    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else MethodType(self, instance)


# --8<-- [end:counted]


# --8<-- [start:desk]
class Desk:
    """Issues certificates."""

    @WrongCounted
    def wrong_issue(self, learner: str) -> str:
        """Return the text of one."""
        return f"{learner} passed"

    @Counted
    def issue(self, learner: str) -> str:
        """Return the text of one."""
        return f"{learner} passed"


# --8<-- [end:desk]


# --8<-- [start:cached]
class Results:
    """The grades of a course."""

    def __init__(self, grades: list[int]) -> None:
        self.grades = grades

    @functools.cached_property
    def average(self) -> float:
        """The mean of all grades."""
        print("computing")
        return sum(self.grades) / len(self.grades)


# --8<-- [end:cached]


# --8<-- [start:slots]
class Seat:
    """A learner in a course, as Python keeps objects by default."""

    def __init__(self, learner: int, course: int, grade: int) -> None:
        self.learner = learner
        self.course = course
        self.grade = grade


class SlottedSeat:
    """The same three attributes, and room for no fourth."""

    __slots__ = ("course", "grade", "learner")

    def __init__(self, learner: int, course: int, grade: int) -> None:
        self.learner = learner
        self.course = course
        self.grade = grade


@dataclass(slots=True)
class DataSeat:
    """A data class writes the slots for you."""

    learner: int
    course: int
    grade: int


class LooseSeat(SlottedSeat):
    """A subclass without slots of its own."""


# --8<-- [end:slots]


class TupleSeat(NamedTuple):
    """The same as a tuple with names."""

    learner: int
    course: int
    grade: int


# --8<-- [start:wrong_proxy]
class WrongLogged:
    """Passes everything on to an object, and notes what was asked."""

    def __init__(self, inner: object) -> None:
        self.asked: list[str] = []
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self.inner, name)


# --8<-- [end:wrong_proxy]


# --8<-- [start:proxy]
class Logged(WrongLogged):
    """The same, and honest about what is missing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in {"asked", "inner"}:
            raise AttributeError(name)
        return super().__getattr__(name)


# --8<-- [end:proxy]
