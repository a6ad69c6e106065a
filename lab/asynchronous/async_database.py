"""A request's database connection under an event loop, and a driver that waits there."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.db import connection, transaction
from django.http import JsonResponse
from django.urls import path
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from lab.academy.models import Course, Enrollment, Learner

if TYPE_CHECKING:
    from django.http import HttpRequest


# --8<-- [start:move]
@transaction.atomic
def move(learner: Learner, old: Course, new: Course) -> None:
    """Change a learner's course: both steps or neither."""
    Enrollment.objects.filter(learner=learner, course=old).delete()
    Enrollment.objects.create(learner=learner, course=new)


async def amove(learner: Learner, old: Course, new: Course) -> None:
    """Do the same from async code."""
    await sync_to_async(move)(learner, old, new)


# --8<-- [end:move]


# --8<-- [start:slow]
def slow() -> None:
    """Run a query that takes 0.3 seconds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.3)")


@login_not_required
async def one_by_one(request: HttpRequest) -> JsonResponse:
    """Run three queries, one after the other."""
    for _ in range(3):
        await sync_to_async(slow)()
    return JsonResponse({})


@login_not_required
async def in_a_group(request: HttpRequest) -> JsonResponse:
    """Start three queries at once, as it seems."""
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(sync_to_async(slow)())
    return JsonResponse({})


# --8<-- [end:slow]


@login_not_required
async def one(request: HttpRequest) -> JsonResponse:
    """Run one of these queries."""
    await sync_to_async(slow)()
    return JsonResponse({})


# --8<-- [start:native]
@cache
def pool() -> AsyncConnectionPool:
    """Return a pool of psycopg's own, beside Django's connections."""
    known = connection.get_connection_params()
    names = "host", "port", "dbname", "user", "password"
    return AsyncConnectionPool(
        make_conninfo(**{name: known[name] for name in names}), min_size=3, open=False
    )


async def aslow() -> None:
    """Run the query on a connection that the event loop waits for."""
    async with pool().connection() as database:
        await database.execute("SELECT pg_sleep(0.3)")


@login_not_required
async def natively(request: HttpRequest) -> JsonResponse:
    """Run three queries at once."""
    await pool().open()  # does nothing if it is open
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(aslow())
    return JsonResponse({})


# --8<-- [end:native]


def backend() -> int:
    """Return the number of the server process behind this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@login_not_required
def which(request: HttpRequest) -> JsonResponse:
    """Say which connection a request has."""
    return JsonResponse({"backend": backend()})


@login_not_required
async def awhich(request: HttpRequest) -> JsonResponse:
    """Say which connection a request has, in an async view."""
    return JsonResponse({"backend": await sync_to_async(backend)()})


urlpatterns = [
    path("one-by-one/", one_by_one),
    path("in-a-group/", in_a_group),
    path("one/", one),
    path("natively/", natively),
    path("sync/which/", which),
    path("async/which/", awhich),
]
