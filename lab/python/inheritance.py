"""When a class may stand for its parent, and what several parents do together."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Protocol, runtime_checkable

from lab.academy.enrolling import CannotEnroll


# --8<-- [start:course]
class Course:
    """A course with a limited number of seats."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.learners: list[str] = []

    def enroll(self, learner: str) -> None:
        """Give a learner a seat, or raise CannotEnroll."""
        if len(self.learners) >= self.seats:
            raise CannotEnroll("the course is full")
        self.learners.append(learner)


def admit(course: Course, learners: Iterable[str]) -> list[str]:
    """Enroll learners; return those who got no seat."""
    refused = []
    for learner in learners:
        try:
            course.enroll(learner)
        except CannotEnroll:
            refused.append(learner)
    return refused


# --8<-- [end:course]


# --8<-- [start:wrong_waiting]
class WaitingCourse(Course):
    """A course that lets people wait when it is full."""

    def __init__(self, seats: int) -> None:
        super().__init__(seats)
        self.waiting: list[str] = []

    def enroll(self, learner: str) -> None:
        """Give a learner a seat, or keep the name for later."""
        if len(self.learners) >= self.seats:
            self.waiting.append(learner)
        else:
            super().enroll(learner)


# --8<-- [end:wrong_waiting]


# --8<-- [start:waiting_list]
class WaitingList:
    """A course, and who waits for a seat in it."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.waiting: list[str] = []

    def ask(self, learner: str) -> bool:
        """Enroll a learner or keep the name; tell whether there was a seat."""
        try:
            self.course.enroll(learner)
        except CannotEnroll:
            self.waiting.append(learner)
            return False
        return True


# --8<-- [end:waiting_list]


# --8<-- [start:invited]
class InvitedCourse(Course):
    """A course for those who were invited."""

    def __init__(self, seats: int, invited: Iterable[str]) -> None:
        super().__init__(seats)
        self.invited = set(invited)

    def enroll(self, learner: str) -> None:
        """Give a learner a seat, or raise CannotEnroll."""
        if learner not in self.invited:
            raise CannotEnroll("this course is by invitation")
        super().enroll(learner)


# --8<-- [end:invited]


# --8<-- [start:diamond]
class Issuer:
    """Issues certificates; returns what was done."""

    def issue(self, learner: str) -> list[str]:
        """Issue one."""
        return [f"printed for {learner}"]


class Numbered(Issuer):
    """Gives each a number first."""

    def issue(self, learner: str) -> list[str]:
        """Issue one."""
        return ["numbered", *super().issue(learner)]


class Logged(Issuer):
    """Writes each into the log first."""

    def issue(self, learner: str) -> list[str]:
        """Issue one."""
        return ["logged", *super().issue(learner)]


class Office(Numbered, Logged):
    """Does both."""


# --8<-- [end:diamond]


# --8<-- [start:wrong_diamond]
class WrongNumbered(Issuer):
    """Gives each a number first."""

    def issue(self, learner: str) -> list[str]:
        """Issue one."""
        return ["numbered", *Issuer.issue(self, learner)]


class WrongOffice(WrongNumbered, Logged):
    """Does both."""


# --8<-- [end:wrong_diamond]


# --8<-- [start:channels]
class Channel(ABC):
    """Whatever says that it is a channel, and can send."""

    @abstractmethod
    def send(self, to: str, text: str) -> str:
        """Bring a text to somebody."""


@runtime_checkable
class CanSend(Protocol):
    """Whatever can send, whether it knows this class or not."""

    def send(self, to: str, text: str) -> str:
        """Bring a text to somebody."""


class Email(Channel):
    """A channel that says so."""

    def send(self, to: str, text: str) -> str:
        """Bring a text to somebody."""
        return f"email to {to}: {text}"


class Telegram:
    """A class of somebody else, who never heard of ours."""

    def send(self, to: str, text: str) -> str:
        """Bring a text to somebody."""
        return f"telegram to {to}: {text}"


# --8<-- [end:channels]


# --8<-- [start:incomplete]
class Pigeon(Channel):
    """A channel that cannot send yet."""


class Postcard:
    """Has a method of that name, with another signature."""

    def send(self, text: str) -> str:
        """Write a text on the card."""
        return text


# --8<-- [end:incomplete]


# --8<-- [start:wrong_names]
def wrong_greet(names: Iterable[str]) -> list[str]:
    """Return a greeting for each name."""
    if not isinstance(names, list):
        raise TypeError("names must be a list")
    return [f"Welcome, {name}" for name in names]


# --8<-- [end:wrong_names]


# --8<-- [start:names]
def greet(names: str | Iterable[str]) -> list[str]:
    """Return a greeting for each name, or for the only one."""
    if isinstance(names, str):  # a string is iterable too, letter by letter
        names = [names]
    return [f"Welcome, {name}" for name in names]


# --8<-- [end:names]


# --8<-- [start:registry]
Rows = Iterable[tuple[str, str]]


class Report:
    """What the academy can write of its results, by kind."""

    kinds: ClassVar[dict[str, type[Report]]] = {}

    def __init_subclass__(cls, *, kind: str, **rest: object) -> None:
        super().__init_subclass__(**rest)
        if kind in Report.kinds:
            raise TypeError(f"there is a report of the kind {kind}")
        Report.kinds[kind] = cls

    def write(self, rows: Rows) -> str:
        """Return the report."""
        raise NotImplementedError


class TextReport(Report, kind="text"):
    """One line each."""

    def write(self, rows: Rows) -> str:
        """Return the report."""
        return "\n".join(f"{name}: {outcome}" for name, outcome in rows)


class CsvReport(Report, kind="csv"):
    """For a spreadsheet."""

    def write(self, rows: Rows) -> str:
        """Return the report."""
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows(rows)
        return file.getvalue()


# --8<-- [end:registry]
