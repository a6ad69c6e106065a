"""Too much: every noun is a class, and every class has an interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.mail import send_mail

from lab.academy.models import Certificate
from lab.python.refactoring.single import as_csv, as_text

if TYPE_CHECKING:
    import datetime

    from lab.academy.models import Course, Enrollment


# --8<-- [start:all]
class AbstractGradingPolicy(ABC):
    """Says what a grade means."""

    @abstractmethod
    def is_passed(self, grade: int | None) -> bool:
        """Tell whether it is enough."""

    @abstractmethod
    def describe(self, grade: int | None) -> str:
        """Put it into words."""


class DefaultGradingPolicy(AbstractGradingPolicy):
    """The academy's own."""

    def is_passed(self, grade: int | None) -> bool:
        """Tell whether it is enough."""
        return grade is not None and grade >= Certificate.FROM_GRADE

    def describe(self, grade: int | None) -> str:
        """Put it into words."""
        if grade is None:
            return "no grade yet"
        if not self.is_passed(grade):
            return "not passed"
        return "passed with distinction" if grade >= 90 else "passed"


class AbstractLetterRenderer(ABC):
    """Makes the text of a certificate."""

    @abstractmethod
    def render(self, name: str, outcome: str, title: str, day: datetime.date) -> str:
        """Return the text."""


class DefaultLetterRenderer(AbstractLetterRenderer):
    """In English."""

    def render(self, name: str, outcome: str, title: str, day: datetime.date) -> str:
        """Return the text."""
        return f"{name} {outcome}: {title}\nIssued on {day:%d %B %Y}"


class AbstractNotifier(ABC):
    """Brings letters."""

    @abstractmethod
    def notify(self, address: str, text: str) -> bool:
        """Bring one; tell whether it went out."""


class EmailNotifier(AbstractNotifier):
    """By email."""

    def notify(self, address: str, text: str) -> bool:
        """Bring one; tell whether it went out."""
        try:
            send_mail("Your certificate", text, None, [address])
        except OSError:
            return False
        return True


class AbstractCertificateRepository(ABC):
    """Stores certificates."""

    @abstractmethod
    def open_seats(self, course: Course) -> list[Enrollment]:
        """Return the enrollments without one."""

    @abstractmethod
    def add(self, seat: Enrollment) -> Certificate:
        """Store one."""


class DjangoCertificateRepository(AbstractCertificateRepository):
    """In the academy's database."""

    def open_seats(self, course: Course) -> list[Enrollment]:
        """Return the enrollments without one."""
        seats = course.enrollments.filter(certificate=None)
        return list(seats.select_related("learner").order_by("learner__name"))

    def add(self, seat: Enrollment) -> Certificate:
        """Store one."""
        return Certificate.objects.create(enrollment=seat)


class AbstractReportWriter(ABC):
    """Writes reports."""

    @abstractmethod
    def write(self, rows: list[tuple[str, str]]) -> str:
        """Return the report."""


class TextReportWriter(AbstractReportWriter):
    """To read."""

    def write(self, rows: list[tuple[str, str]]) -> str:
        """Return the report."""
        return as_text(rows)


class CsvReportWriter(AbstractReportWriter):
    """For a spreadsheet."""

    def write(self, rows: list[tuple[str, str]]) -> str:
        """Return the report."""
        return as_csv(rows)


class ReportWriterFactory:
    """Makes the writer of a kind."""

    def create(self, kind: str) -> AbstractReportWriter:
        """Return the writer."""
        if kind == "text":
            return TextReportWriter()
        if kind == "csv":
            return CsvReportWriter()
        raise ValueError(f"there is no report of the kind {kind}")


@dataclass
class IssuingContext:
    """Everything that issuing depends on."""

    policy: AbstractGradingPolicy
    renderer: AbstractLetterRenderer
    notifier: AbstractNotifier
    repository: AbstractCertificateRepository
    writer: AbstractReportWriter


class IssuingContextBuilder:
    """Builds a context of the default parts."""

    def build(self, kind: str) -> IssuingContext:
        """Return the context."""
        return IssuingContext(
            policy=DefaultGradingPolicy(),
            renderer=DefaultLetterRenderer(),
            notifier=EmailNotifier(),
            repository=DjangoCertificateRepository(),
            writer=ReportWriterFactory().create(kind),
        )


class CertificateIssuingService:
    """Issues certificates."""

    def __init__(self, context: IssuingContext) -> None:
        self.context = context

    def execute(self, course: Course) -> str:
        """Issue those of a course; return the report."""
        rows = []
        for seat in self.context.repository.open_seats(course):
            outcome = self.context.policy.describe(seat.grade)
            if self.context.policy.is_passed(seat.grade):
                outcome = self._issue(seat, outcome, course.title)
            rows.append((seat.learner.name, outcome))
        return self.context.writer.write(rows)

    def _issue(self, seat: Enrollment, outcome: str, title: str) -> str:
        day = self.context.repository.add(seat).issued_on
        text = self.context.renderer.render(seat.learner.name, outcome, title, day)
        if self.context.notifier.notify(seat.learner.email, text):
            return outcome
        return f"{outcome}, not mailed"


def issue(course: Course, kind: str = "text") -> str:
    """Give who passed a certificate, mail it, and return a report."""
    return CertificateIssuingService(IssuingContextBuilder().build(kind)).execute(
        course
    )


# --8<-- [end:all]
