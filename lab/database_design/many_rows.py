"""Many rows: read without holding them all, written with few statements, deleted in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db import connection, transaction
from django.db.models import Model

from lab.academy.models import Certificate, Enrollment, Learner

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator
    from typing import Any, TextIO

    from django.db.models import QuerySet

Row = TypeVar("Row", bound=Model)


# --8<-- [start:wrong_export]
def wrong_export(learners: QuerySet[Learner], out: TextIO) -> None:
    """Write an address a line."""
    for learner in learners:
        out.write(f"{learner.email}\n")


# --8<-- [end:wrong_export]


# --8<-- [start:export]
def export(learners: QuerySet[Learner], out: TextIO) -> None:
    """Write an address a line."""
    for learner in learners.iterator(chunk_size=1000):
        out.write(f"{learner.email}\n")


# --8<-- [end:export]


# --8<-- [start:batches]
def batches(rows: QuerySet[Row], size: int) -> Iterator[list[Row]]:
    """Yield rows in lists of a size, in the order of their keys."""
    rows = rows.order_by("pk")
    batch = list(rows[:size])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:size])


# --8<-- [end:batches]


def export_in_batches(learners: QuerySet[Learner], out: TextIO) -> None:
    """Write an address a line."""
    for batch in batches(learners, 1000):
        out.writelines(f"{learner.email}\n" for learner in batch)


def wrong_export_by_offset(learners: QuerySet[Learner], out: TextIO) -> None:
    """Write an address a line."""
    learners = learners.order_by("pk")
    for start in range(0, learners.count(), 1000):
        out.writelines(f"{one.email}\n" for one in learners[start : start + 1000])


# --8<-- [start:cursors]
def open_cursors() -> list[tuple[Any, ...]]:
    """Return the cursors that this connection has open at the server."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT left(statement, 7), is_holdable FROM pg_cursors")
        return list(cursor.fetchall())


# --8<-- [end:cursors]


# --8<-- [start:wrong_close]
def wrong_close(size: int) -> None:
    """Set every grade that is missing to zero."""
    missing = Enrollment.objects.filter(grade=None).order_by("pk")
    for start in range(0, missing.count(), size):
        keys = [row.pk for row in missing[start : start + size]]
        Enrollment.objects.filter(pk__in=keys).update(grade=0)


# --8<-- [end:wrong_close]


# --8<-- [start:close]
def close(size: int) -> None:
    """Set every grade that is missing to zero."""
    missing = Enrollment.objects.filter(grade=None)
    for batch in batches(missing, size):
        keys = [row.pk for row in batch]
        missing.filter(pk__in=keys).update(grade=0)


# --8<-- [end:close]


# --8<-- [start:copy]
def copy(learners: Iterable[Learner]) -> None:
    """Insert learners, with PostgreSQL's COPY."""
    statement = "COPY academy_learner (name, email, joined_on) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as rows:
        for one in learners:
            rows.write_row((one.name, one.email, one.joined_on))


# --8<-- [end:copy]


# --8<-- [start:wrong_store]
def wrong_store(enrollments: list[Enrollment]) -> None:
    """Insert enrollments; those that are there get the new grade."""
    Enrollment.objects.bulk_create(
        enrollments,
        update_conflicts=True,
        unique_fields=["learner", "course"],
        update_fields=["grade"],
        batch_size=1000,
    )


# --8<-- [end:wrong_store]


# --8<-- [start:store]
def store(enrollments: list[Enrollment]) -> None:
    """Insert enrollments; those that are there get the new grade."""
    last = {(row.learner_id, row.course_id): row for row in enrollments}
    named = connection.features.supports_update_conflicts_with_target
    Enrollment.objects.bulk_create(
        last.values(),
        update_conflicts=True,
        unique_fields=["learner", "course"] if named else None,
        update_fields=["grade"],
        batch_size=1000,
    )


# --8<-- [end:store]


# --8<-- [start:wrong_forget]
def wrong_forget(day: datetime.date, size: int) -> Iterator[int]:
    """Delete old certificates, and say how many after each batch."""
    old = Certificate.objects.filter(issued_on__lt=day)
    with transaction.atomic():
        for batch in batches(old, size):
            keys = [row.pk for row in batch]
            yield old.filter(pk__in=keys).delete()[0]


# --8<-- [end:wrong_forget]


# --8<-- [start:forget]
def forget(day: datetime.date, size: int) -> Iterator[int]:
    """Delete old certificates, and say how many after each batch."""
    old = Certificate.objects.filter(issued_on__lt=day)
    for batch in batches(old, size):
        keys = [row.pk for row in batch]
        with transaction.atomic():
            deleted = old.filter(pk__in=keys).delete()[0]
        yield deleted


# --8<-- [end:forget]
