"""Save a row, and say in words which rule refused it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import F

if TYPE_CHECKING:
    from django.db.models import Model

    from lab.academy.models import Course


# --8<-- [start:save_or_explain]
def save_or_explain(row: Model) -> None:
    """Save a row, or raise a ValidationError that says which rule it breaks."""
    row.full_clean()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        row.full_clean()  # whoever was faster has committed, and is found now
        raise


# --8<-- [end:save_or_explain]


# --8<-- [start:violated]
def violated(error: IntegrityError) -> str | None:
    """Return the name of the constraint that refused; only PostgreSQL says it."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis.constraint_name if diagnosis else None


# --8<-- [end:violated]


# --8<-- [start:wrong_insert_first]
def wrong_insert_first(course: Course, title: str) -> None:
    """Put a lesson before the others."""
    course.lessons.update(position=F("position") + 1)
    course.lessons.create(position=1, title=title)


# --8<-- [end:wrong_insert_first]
