"""Reads from a copy of the database: a router, and how a visitor sees what they wrote."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model
    from django.http import HttpRequest, HttpResponse


# --8<-- [start:wrong_router]
class WrongRouter:
    """Sends every read to the replica."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        """Return the name of the database to read from."""
        return "replica"

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        """Return the name of the database to write to."""
        return "default"

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        """Let objects of both be related: the rows are the same."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Migrate the primary; the replica gets its tables from there."""
        return db == "default"


# --8<-- [end:wrong_router]


# --8<-- [start:router]
wrote: ContextVar[bool] = ContextVar("wrote", default=False)  # in this request


class Router(WrongRouter):
    """Sends reads to the replica, unless this visitor has written a moment ago."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        """Return the name of the database to read from."""
        inside = connections["default"].in_atomic_block
        return "default" if wrote.get() or inside else "replica"

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        """Return the name of the database to write to, and remember it."""
        wrote.set(True)
        return "default"


# --8<-- [end:router]


# --8<-- [start:middleware]
SECONDS = 5  # longer than the replica lags, as a rule


def read_your_writes(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let a visitor who wrote read from the primary for some seconds."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = wrote.set("wrote" in request.COOKIES)
        try:
            response = get_response(request)
            if wrote.get() and request.method != "GET":
                response.set_cookie("wrote", "1", max_age=SECONDS, httponly=True)
            return response
        finally:
            wrote.reset(token)

    return middleware


# --8<-- [end:middleware]


# --8<-- [start:lag]
def behind() -> int:
    """Return how many bytes of the log the replica has yet to repeat."""
    with connections["default"].cursor() as primary:
        primary.execute("SELECT pg_current_wal_lsn()")
        (written,) = primary.fetchone()
    with connections["replica"].cursor() as replica:
        ask = "SELECT greatest(0, %s::pg_lsn - pg_last_wal_replay_lsn())::bigint"
        replica.execute(ask, [written])
        return int(replica.fetchone()[0])


# --8<-- [end:lag]
