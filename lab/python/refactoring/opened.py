"""Step 3, O: a new kind of report is an entry, and no edit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lab.academy.models import Certificate
from lab.python.refactoring.inverted import Send, by_email
from lab.python.refactoring.single import as_csv, as_text, judge, letter

if TYPE_CHECKING:
    from lab.academy.models import Course


# --8<-- [start:table]
Write = Callable[[Iterable[tuple[str, str]]], str]
REPORTS: dict[str, Write] = {"text": as_text, "csv": as_csv}
# --8<-- [end:table]


# --8<-- [start:issue]
def issue(course: Course, kind: str = "text", send: Send = by_email) -> str:
    """Give who passed a certificate, send it, and return a report."""
    if kind not in REPORTS:
        raise ValueError(f"there is no report of the kind {kind}")
    rows = []
    seats = course.enrollments.filter(certificate=None)
    for seat in seats.select_related("learner").order_by("learner__name"):
        learner = seat.learner
        earned, outcome = judge(seat.grade)
        if earned:
            day = Certificate.objects.create(enrollment=seat).issued_on
            try:
                send(learner.email, letter(learner.name, outcome, course.title, day))
            except OSError:
                outcome += ", not mailed"
        rows.append((learner.name, outcome))
    return REPORTS[kind](rows)


# --8<-- [end:issue]
