"""The expensive query behind the ranking, and how to see it on the server."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import Avg

from lab.academy.models import Learner


# --8<-- [start:compute]
def compute() -> list[str]:
    """Return the names of the three best learners."""
    best = Learner.objects.alias(mean=Avg("enrollments__grade")).filter(
        mean__isnull=False
    )
    return [learner.name for learner in best.order_by("-mean", "pk")[:3]]


# --8<-- [end:compute]

# --8<-- [start:activity]
ACTIVITY = """
SELECT count(*), state, wait_event_type, substring(query FOR 30) AS query
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND datname = current_database() AND state = 'active'
GROUP BY 2, 3, 4 ORDER BY 1 DESC;
"""
# --8<-- [end:activity]


def activity() -> list[tuple[Any, ...]]:
    """Return what the server is doing for others at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(ACTIVITY)
        return list(cursor.fetchall())
