"""What PostgreSQL did to answer a query: ``EXPLAIN (ANALYZE)`` without what differs from run to run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.db import connection

if TYPE_CHECKING:
    from django.db.models import QuerySet

# Times, costs and memory depend on the machine and the moment; rows and loops on the data alone.
UNSTABLE = (
    (re.compile(r"(Memory(?: Usage)?|Disk): \d+kB"), r"\1: …kB"),
    (re.compile(r"Heap Fetches: \d+"), "Heap Fetches: …"),
    (re.compile(r"(\w+ \d*)\(cost=[^)]*\) ?"), r"\1"),
)


def plan(query: QuerySet[Any] | str) -> str:
    """Run a query on PostgreSQL, once, and return its plan with the rows that each step met.

    Statistics are brought up to date first (``ANALYZE``): without them the planner guesses.

    Args:
        query: A queryset, or SQL without parameters.

    Raises:
        ValueError: The database is not PostgreSQL.
    """
    if connection.vendor != "postgresql":
        raise ValueError("plans are recorded on PostgreSQL")
    sql, parameters = (query, ()) if isinstance(query, str) else query.query.sql_with_params()
    options = "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF"
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute(f"EXPLAIN ({options}) {sql}", parameters)
        text = "\n".join(line for (line,) in cursor.fetchall())
    for pattern, stable in UNSTABLE:
        text = pattern.sub(stable, text)
    return text
