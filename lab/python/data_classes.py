"""Objects that hold data: data classes and their relatives, enumerations, patterns."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import Flag, StrEnum, auto
from typing import NamedTuple, TypedDict

from rest_framework import serializers


# --8<-- [start:course]
@dataclass
class Course:
    """A course that learners can join."""

    title: str
    seats: int = 30
    learners: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.seats < 1:
            raise ValueError("a course has a seat")


# --8<-- [end:course]


# --8<-- [start:result]
@dataclass(frozen=True, order=True, slots=True, kw_only=True)
class Result:
    """The grade that a learner got."""

    grade: int
    learner: str
    remark: str = field(default="", compare=False)


# --8<-- [end:result]


# --8<-- [start:certificate]
@dataclass(frozen=True)
class Certificate:
    """Says that a learner has passed."""

    learner: str
    number: uuid.UUID = field(default_factory=uuid.uuid4)


# --8<-- [end:certificate]


# --8<-- [start:relatives]
class Seat(NamedTuple):
    """A chair in the hall."""

    row: int
    number: int


class Period(NamedTuple):
    """From one hour to another."""

    start: int
    end: int


class Upload(TypedDict):
    """A line of a file with grades."""

    learner: str
    grade: int


# --8<-- [end:relatives]


# --8<-- [start:serializer]
class UploadSerializer(serializers.Serializer):
    """Reads a line of a file with grades."""

    learner = serializers.CharField(max_length=80)
    grade = serializers.IntegerField(min_value=0, max_value=100)


# --8<-- [end:serializer]


# --8<-- [start:level]
class Level(StrEnum):
    """How much a course expects."""

    BEGINNER = auto()
    INTERMEDIATE = auto()
    ADVANCED = auto()


# --8<-- [end:level]


# --8<-- [start:right]
class Right(Flag):
    """What somebody may do in a course."""

    READ = auto()
    GRADE = auto()
    PUBLISH = auto()
    TEACHER = READ | GRADE


# --8<-- [end:right]


# --8<-- [start:describe]
def describe(event: object) -> str:
    """Return a sentence about something that happened."""
    match event:
        case Result(learner=name, grade=grade) if grade >= 50:
            return f"{name} passed"
        case Result(learner=name):
            return f"{name} did not pass"
        case {"type": "enrolled", "learner": str(name)}:
            return f"{name} joined"
        case {"type": "left", "learners": [first, *others]}:
            return f"{first} and {len(others)} more left"
        case _:
            raise ValueError(f"no event: {event!r}")


# --8<-- [end:describe]


# --8<-- [start:advice]
def advice(level: Level) -> str:
    """Return what a course of this level expects."""
    match level:
        case Level.BEGINNER:
            return "no experience needed"
        case Level.ADVANCED:
            return "for professionals"
        case Level.INTERMEDIATE:
            return "one course before this"


# --8<-- [end:advice]
