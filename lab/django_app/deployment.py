"""What a platform asks a running process, and how its connections are kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger(__name__)


# --8<-- [start:liveness]
@never_cache
@login_not_required
def liveness(request: HttpRequest) -> HttpResponse:
    """Say that this process answers; ask nobody else."""
    return HttpResponse("alive", content_type="text/plain")


# --8<-- [end:liveness]


# --8<-- [start:readiness]
def ask_database() -> None:
    """Send the shortest query there is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_cache() -> None:
    """Look for a key that need not be there."""
    cache.get("health")


PARTS = {"database": ask_database, "cache": ask_cache}


@never_cache
@login_not_required
def readiness(request: HttpRequest) -> JsonResponse:
    """Say which part works; 503 if one does not. The reason goes to the log only."""
    works = {}
    for name, ask in PARTS.items():
        try:
            ask()
            works[name] = True
        except Exception:
            logger.exception("the %s does not answer", name)
            works[name] = False
    return JsonResponse(works, status=200 if all(works.values()) else 503)


# --8<-- [end:readiness]


# --8<-- [start:pool]
def pooled(database: dict[str, Any]) -> dict[str, Any]:
    """Return a PostgreSQL database's settings with a pool in each process."""
    pool = {"min_size": 2, "max_size": 8, "timeout": 5}  # timeout: seconds
    return {
        **database,
        "CONN_MAX_AGE": 0,  # with any other value Django refuses the pool
        "OPTIONS": {**database.get("OPTIONS", {}), "pool": pool},
    }


# --8<-- [end:pool]
