"""Plans over a million rows: ``tests.recording.plan`` without an ANALYZE each time, with pages and estimates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import connection

from tests.recording.plan import UNSTABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

    Query = QuerySet[Any] | str

SHAPE = "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF"


def explain(query: Query, options: str) -> list[Any]:
    """Return what EXPLAIN with some options says of a query: lines, or one JSON document."""
    sql, parameters = (query, ()) if isinstance(query, str) else query.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({options}) {sql}", parameters)
        return [row for (row,) in cursor.fetchall()]


def shape(query: Query, options: str = SHAPE) -> str:
    """Run a query and return its plan without what differs from run to run."""
    text = "\n".join(explain(query, options))
    for pattern, stable in UNSTABLE:
        text = pattern.sub(stable, text)
    return text


def tree(query: Query, options: str = "ANALYZE") -> dict[str, Any]:
    """Run a query and return the top node of its plan."""
    (found,) = explain(query, f"{options}, FORMAT JSON")
    document = json.loads(found) if isinstance(found, str) else found
    top: dict[str, Any] = document[0]["Plan"]
    return top


def nodes(top: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan, from the top."""
    yield top
    for below in top.get("Plans", []):
        yield from nodes(below)


def pages(query: Query) -> int:
    """Return how many pages of 8 kB a query touches; a run before warms the caches of the server process."""
    tree(query)
    top = tree(query)
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def size(index: str) -> int:
    """Return how many bytes an index or a table takes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size(%s::regclass)", [index])
        return int(cursor.fetchone()[0])
