"""Step 5, I: issuing asks for no more than it needs of a course."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lab.academy.models import Certificate
from lab.python.refactoring.opened import REPORTS
from lab.python.refactoring.promised import Email, NotSent, Sender
from lab.python.refactoring.single import judge, letter

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

    from lab.academy.models import Course


# --8<-- [start:needs]
@dataclass(frozen=True)
class Seat:
    """What issuing has to know of an enrollment."""

    key: int
    name: str
    email: str
    grade: int | None


class Register(Protocol):
    """What issuing needs of a course."""

    title: str

    def open_seats(self) -> Iterable[Seat]:
        """Return the enrollments without a certificate, by name."""

    def certify(self, seat: Seat) -> datetime.date:
        """Store a certificate; return its date."""


# --8<-- [end:needs]


# --8<-- [start:issue]
def issue_from(register: Register, sender: Sender) -> list[tuple[str, str]]:
    """Give who passed a certificate, and send it; return who got what."""
    rows = []
    for seat in register.open_seats():
        earned, outcome = judge(seat.grade)
        if earned:
            day = register.certify(seat)
            try:
                sender.send(seat.email, letter(seat.name, outcome, register.title, day))
            except NotSent:
                outcome += ", not mailed"
        rows.append((seat.name, outcome))
    return rows


class CourseRegister:
    """A course of the academy, as far as issuing is concerned."""

    def __init__(self, course: Course) -> None:
        self.title = course.title
        self.enrollments = course.enrollments.filter(certificate=None)

    def open_seats(self) -> Iterable[Seat]:
        """Return the enrollments without a certificate, by name."""
        rows = self.enrollments.order_by("learner__name")
        names = ("pk", "learner__name", "learner__email", "grade")
        return [Seat(*row) for row in rows.values_list(*names)]

    def certify(self, seat: Seat) -> datetime.date:
        """Store a certificate; return its date."""
        return Certificate.objects.create(enrollment_id=seat.key).issued_on


def issue(course: Course, kind: str = "text", sender: Sender | None = None) -> str:
    """Give who passed a certificate, send it, and return a report."""
    if kind not in REPORTS:
        raise ValueError(f"there is no report of the kind {kind}")
    sender = Email() if sender is None else sender
    return REPORTS[kind](issue_from(CourseRegister(course), sender))


# --8<-- [end:issue]
