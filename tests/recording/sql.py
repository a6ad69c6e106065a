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

# sqlparse breaks what belongs on one line, and does not begin a line where a clause begins.
ONE_LINE = re.compile(r"\bFOR\s+UPDATE\b|\bFILTER \(\s+WHERE\b|\bIN \([^()]*\)|\bDO\s+UPDATE\s+SET\b")
NEW_LINE = re.compile(r"(?<=\S) (?=ON CONFLICT\b|RETURNING\b)")
PLAIN = re.compile(r"""["`]([a-z_][a-z0-9_]*|[T-W]\d+)["`]""")  # names of columns, and Django's aliases of tables


@dataclass
class Queries:
    """What was sent: one statement an entry, transaction control included."""

    statements: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The statements, laid out to be read, under their number."""
        count = len(self.statements)
        shown = [lay_out(statement) for statement in self.statements]
        return number_savepoints("\n\n".join([f"-- {count} {'query' if count == 1 else 'queries'}", *shown]))


@contextmanager
def queries() -> Iterator[Queries]:
    """Collect what is sent to the database ``default`` inside the ``with`` block."""
    seen = Queries()
    with CaptureQueriesContext(connection) as captured:
        yield seen
    seen.statements += [query["sql"] for query in captured.captured_queries]


def lay_out(statement: str) -> str:
    """Return a statement over several lines, without the quotes that plain names do not need."""
    lines = str(sqlparse.format(PLAIN.sub(r"\1", statement), reindent=True)).rstrip(";")
    lines = ONE_LINE.sub(lambda match: " ".join(match[0].split()).replace("( ", "("), lines)
    return shorten_columns(NEW_LINE.sub("\n", lines)) + ";"


def shorten_columns(statement: str) -> str:
    """Return a SELECT with a long list of columns cut to the first and the last."""
    columns = re.compile(r"(SELECT (?:DISTINCT )?\w+\.\w+,)((?:\s+\w+\.\w+,){3,})\s+(\w+\.\w+)(?=,|\n|$)")
    return columns.sub(lambda match: f"{match[1]} /* {match[2].count(',')} more */ {match[3]}", statement)


def number_savepoints(text: str) -> str:
    """Return SQL with the savepoints numbered as they come: their names hold a thread and a running number."""
    names = list(dict.fromkeys(re.findall(r"\bs\d+_x\d+\b", text)))
    return re.sub(r"\bs\d+_x\d+\b", lambda match: f"s_x{names.index(match[0]) + 1}", text)
