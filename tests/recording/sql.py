"""The SQL that a piece of code sends, and how many queries it is."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlparse
from django.db import connection
from django.test.utils import CaptureQueriesContext

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Queries:
    """What was sent: one statement an entry, transaction control included."""

    statements: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The statements, laid out to be read, under their number."""
        count = len(self.statements)
        shown = [lay_out(statement) for statement in self.statements]
        return "\n\n".join([f"-- {count} {'query' if count == 1 else 'queries'}", *shown])


@contextmanager
def queries() -> Iterator[Queries]:
    """Collect what is sent to the database ``default`` inside the ``with`` block."""
    seen = Queries()
    with CaptureQueriesContext(connection) as captured:
        yield seen
    seen.statements += [query["sql"] for query in captured.captured_queries]


def lay_out(statement: str) -> str:
    """Return a statement over several lines, without the quotes that plain names do not need."""
    plain = re.sub(r'"([a-z_][a-z0-9_]*)"|`([a-z_][a-z0-9_]*)`', lambda match: match[1] or match[2], statement)
    short = shorten_columns(plain)
    return str(sqlparse.format(short, reindent=True, keyword_case="upper", wrap_after=80)).rstrip(";") + ";"


def shorten_columns(statement: str) -> str:
    """Return a SELECT with a long list of columns cut to the first and the last."""
    match = re.match(r"(SELECT (?:DISTINCT )?)((?:\w+\.\w+, ){4,}\w+\.\w+)( FROM .*)", statement, re.DOTALL)
    if not match:
        return statement
    columns = match[2].split(", ")
    return f"{match[1]}{columns[0]}, /* {len(columns) - 2} more */ {columns[-1]}{match[3]}"
