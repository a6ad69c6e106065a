"""A session of SQL: a recorded file whose lines after ``=>`` are run again, laid out as psql does."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, connection, transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, NEXT = "=> ", "-> "


def rerun(transcript: str) -> str:
    """Return a session as it is when its statements are run now, on PostgreSQL; then roll them back.

    Each statement may fail: it runs in a savepoint. Errors are shown in one line, as psql does
    with VERBOSITY set to terse.

    Args:
        transcript: Statements, each after ``=>`` with its further lines after ``->``, and what they printed.

    Raises:
        ValueError: The text holds no statement.
    """
    statements = re.findall(r"^=> .*(?:\n-> .*)*", transcript, re.MULTILINE)
    if not statements:
        raise ValueError("a recorded session holds at least one line that starts with =>")
    with transaction.atomic():
        shown = [f"{shown}\n{answer(re.sub('^[-=]> ', '', shown, flags=re.MULTILINE))}" for shown in statements]
        transaction.set_rollback(True)
    return "\n".join(shown)


def answer(statement: str) -> str:
    """Run one statement, and return what psql prints."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            if cursor.description is None:
                return str(cursor.statusmessage)
            return table([column.name for column in cursor.description], cursor.fetchall())
    except DatabaseError as error:
        return f"ERROR:  {error.__cause__.diag.message_primary}"  # type: ignore[union-attr]


def cell(value: object) -> str:
    """Return a value as psql prints it: nothing for NULL, a letter for a boolean, a short offset after a time."""
    if isinstance(value, bool):
        return "ft"[value]
    text = "" if value is None else str(value)
    return text.removesuffix(":00") if isinstance(value, datetime.datetime) and value.tzinfo else text


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as a table: names in the middle of their column, numbers to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(names, *cells, strict=True)]
    right = [
        any(isinstance(value, int | float) and not isinstance(value, bool) for value in column)
        for column in zip(*rows, strict=True)
    ]
    lines = [
        " | ".join(f"{name:^{width}}" for name, width in zip(names, widths, strict=True)),
        "-+-".join("-" * width for width in widths),
        *(
            " | ".join(
                f"{text:{'>' if number else '<'}{width}}"
                for text, width, number in zip(row, widths, right, strict=True)
            )
            for row in cells
        ),
    ]
    lines[1] = f"-{lines[1]}-"
    shown = [line if number == 1 else f" {line}".rstrip() for number, line in enumerate(lines)]
    return "\n".join([*shown, f"({len(rows)} {'row' if len(rows) == 1 else 'rows'})"])
