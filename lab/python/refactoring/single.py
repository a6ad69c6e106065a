"""Step 1, S: the rule and the text are functions of their own."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from django.core.mail import send_mail

from lab.academy.models import Certificate

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

    from lab.academy.models import Course


# --8<-- [start:rule]
def judge(grade: int | None) -> tuple[bool, str]:
    """Tell whether a grade earns a certificate, and in words what it means."""
    if grade is None:
        return False, "no grade yet"
    if grade < Certificate.FROM_GRADE:
        return False, "not passed"
    return True, "passed with distinction" if grade >= 90 else "passed"


# --8<-- [end:rule]


# --8<-- [start:letter]
def letter(name: str, outcome: str, title: str, day: datetime.date) -> str:
    """Return the text of a certificate."""
    return f"{name} {outcome}: {title}\nIssued on {day:%d %B %Y}"


# --8<-- [end:letter]


# --8<-- [start:reports]
def as_text(rows: Iterable[tuple[str, str]]) -> str:
    """Return a report to read."""
    return "".join(f"{name}: {outcome}\n" for name, outcome in rows)


def as_csv(rows: Iterable[tuple[str, str]]) -> str:
    """Return a report for a spreadsheet."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


# --8<-- [end:reports]


# --8<-- [start:issue]
def issue(course: Course, kind: str = "text") -> str:
    """Give who passed a certificate, mail it, and return a report."""
    if kind not in ("text", "csv"):
        raise ValueError(f"there is no report of the kind {kind}")
    rows = []
    seats = course.enrollments.filter(certificate=None)
    for seat in seats.select_related("learner").order_by("learner__name"):
        learner = seat.learner
        earned, outcome = judge(seat.grade)
        if earned:
            day = Certificate.objects.create(enrollment=seat).issued_on
            text = letter(learner.name, outcome, course.title, day)
            try:
                send_mail("Your certificate", text, None, [learner.email])
            except OSError:
                outcome += ", not mailed"
        rows.append((learner.name, outcome))
    return as_csv(rows) if kind == "csv" else as_text(rows)


# --8<-- [end:issue]
