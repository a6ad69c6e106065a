"""Step 2, D: who brings the letters is handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.core.mail import send_mail

from lab.academy.models import Certificate
from lab.python.refactoring.single import as_csv, as_text, judge, letter

if TYPE_CHECKING:
    from lab.academy.models import Course


# --8<-- [start:send]
Send = Callable[[str, str], object]


def by_email(address: str, text: str) -> None:
    """Bring a letter to an address."""
    send_mail("Your certificate", text, None, [address])


# --8<-- [end:send]


# --8<-- [start:issue]
def issue(course: Course, kind: str = "text", send: Send = by_email) -> str:
    """Give who passed a certificate, send it, and return a report."""
    if kind not in ("text", "csv"):
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
    return as_csv(rows) if kind == "csv" else as_text(rows)


# --8<-- [end:issue]
