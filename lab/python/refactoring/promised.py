"""Step 4, L: what every sender promises, so that each can stand for the other."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from django.core.mail import send_mail

from lab.academy.models import Certificate
from lab.python.refactoring.opened import REPORTS
from lab.python.refactoring.single import judge, letter

if TYPE_CHECKING:
    from pathlib import Path

    from lab.academy.models import Course


# --8<-- [start:senders]
class NotSent(Exception):  # noqa: N818  (it says what happened)
    """The letter has not gone out."""


class Sender(Protocol):
    """Whatever brings letters."""

    def send(self, address: str, text: str) -> None:
        """Bring a letter. When this returns it is on its way; else NotSent."""


class Email:
    """By email."""

    def send(self, address: str, text: str) -> None:
        """Mail a letter."""
        try:
            send_mail("Your certificate", text, None, [address])
        except OSError as error:
            raise NotSent(address) from error


class PrintRoom:
    """On paper: a file for each address, in the folder of the printers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, address: str, text: str) -> None:
        """Leave a letter for printing."""
        name = quote(address, safe="@")  # an address may hold a slash
        try:
            with (self.folder / f"{name}.txt").open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")
        except OSError as error:
            raise NotSent(address) from error


# --8<-- [end:senders]


# --8<-- [start:wrong_quiet]
class WrongPrintRoom(PrintRoom):
    """The same, and never a reason to complain."""

    def send(self, address: str, text: str) -> None:
        """Leave a letter for printing."""
        with suppress(NotSent):
            super().send(address, text)


# --8<-- [end:wrong_quiet]


# --8<-- [start:issue]
def issue(course: Course, kind: str = "text", sender: Sender | None = None) -> str:
    """Give who passed a certificate, send it, and return a report."""
    if kind not in REPORTS:
        raise ValueError(f"there is no report of the kind {kind}")
    sender = Email() if sender is None else sender
    rows = []
    seats = course.enrollments.filter(certificate=None)
    for seat in seats.select_related("learner").order_by("learner__name"):
        learner = seat.learner
        earned, outcome = judge(seat.grade)
        if earned:
            day = Certificate.objects.create(enrollment=seat).issued_on
            text = letter(learner.name, outcome, course.title, day)
            try:
                sender.send(learner.email, text)
            except NotSent:
                outcome += ", not mailed"
        rows.append((learner.name, outcome))
    return REPORTS[kind](rows)


# --8<-- [end:issue]
