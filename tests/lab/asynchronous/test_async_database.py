"""Async code and the database: transactions, queries that do not overlap, connections and pools."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from lab.academy.models import Learner
from lab.asynchronous import async_database
from lab.asynchronous.async_database import amove, backend, move
from lab.asynchronous.async_database_samples import wrong_atomic, wrong_move
from scripts.services import running
from tests import databases
from tests.lab.asynchronous.asgi import ask
from tests.lab.serving import GUNICORN, UVICORN, serve
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

ROUTES = "lab.asynchronous.async_database"
TOGETHER = pytest.mark.django_db(transaction=True)
pytestmark = [pytest.mark.urls(ROUTES), pytest.mark.databases("postgresql")]


# Transactions


@pytest.mark.wrong("lab/asynchronous/async_database_samples.py:wrong_move")
@TOGETHER
def test_half_of_the_work_stays(academy: None, session: Callable[..., None]) -> None:
    ama = Learner.objects.get(name="Ama")
    first, second, *_ = ama.courses.order_by("title")
    session("async_database_move.pycon", ama=ama, first=first, second=second, **names())
    assert list(ama.courses.filter(pk__in=[first.pk, second.pk])) == [second], (
        "the first is gone, by a move that failed"
    )


@pytest.mark.wrong("lab/asynchronous/async_database_samples.py:wrong_atomic")
@TOGETHER
def test_no_transaction_in_async_code(academy: None, session: Callable[..., None]) -> None:
    kofi = Learner.objects.get(name="Kofi")
    his, other, *_ = kofi.courses.order_by("title")
    before = kofi.courses.count()
    session("async_database_atomic.pycon", kofi=kofi, his=his, other=other, **names())
    assert kofi.courses.count() == before == 3


@pytest.mark.wrong("lab/asynchronous/async_database_samples.py:wrong_atomic")
@TOGETHER
def test_the_transaction_that_is_let_through_holds_nothing(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins on the connection of the loop's thread; the queries run on that of another one."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    kofi = Learner.objects.get(name="Kofi")
    his, other, *_ = kofi.courses.order_by("title")

    async def both() -> None:
        try:
            with pytest.raises(IntegrityError):
                await wrong_atomic(kofi, his, other)
        finally:
            connection.close()

    async_to_sync(both)()
    assert his not in kofi.courses.all(), "half of the work stays"


def names() -> dict[str, Any]:
    """Return what the sessions begin with."""
    return {
        "async_to_sync": async_to_sync,
        "amove": amove,
        "move": move,
        "wrong_atomic": wrong_atomic,
        "wrong_move": wrong_move,
    }


# Queries of one request


def sleeping() -> int:
    """Return how many slow queries the server runs at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE state = 'active' AND query = 'SELECT pg_sleep(0.3)' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def together(*paths: str) -> tuple[int, float]:
    """Send requests at once; return how many of their queries ran at the same moment, and the seconds."""

    async def requests() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(f"/{path}/")) for path in paths]
            assert all(task.result() == b"{}" for task in tasks)
        finally:
            if async_database.pool.cache_info().currsize:
                await async_database.pool().close()

    most, start = 0, time.perf_counter()
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(asyncio.run, requests())
        while not asked.done():
            most = max(most, sleeping())
        asked.result()
    return most, time.perf_counter() - start


@TOGETHER
def test_the_record_of_queries_that_overlap(record: Recorder) -> None:
    ways = {
        "one request, one after the other": (["one-by-one"], 1),
        "one request, in a `TaskGroup`": (["in-a-group"], 1),
        "three requests": (["one"] * 3, 3),
        "one request, psycopg's async connections": (["natively"], 3),
    }
    lines = ["| Three queries of 0.3 s | at the same moment | takes at least |", "| --- | ---: | ---: |"]
    for name, (paths, expected) in ways.items():
        for _ in range(5):  # on a busy machine queries that may overlap can miss each other
            async_database.pool.cache_clear()  # it belongs to the event loop that opened it
            most, seconds = together(*paths)
            if most >= expected:
                break
        least = round(0.9 / most, 1)
        lines.append(f"| {name} | {most} | {least} s |")
        assert seconds > least
    async_database.pool.cache_clear()
    record("async_database_overlap.md", "\n".join(lines))


# Connections


@TOGETHER
def test_the_views_say_which_connection_they_have() -> None:
    for view in ("sync", "async"):
        assert json.loads(asyncio.run(ask(f"/{view}/which/"))).keys() == {"backend"}
    assert backend() == connection.connection.info.backend_pid


def database_url(query: str = "") -> str:
    """Return the URL of this test's database."""
    return urlsplit(databases.address())._replace(query=query).geturl()


KEPT = {"DATABASE_URL": "conn_max_age=60"}
CLOSED = {"DATABASE_URL": "conn_max_age=0"}
POOL = {"SERVED_POOL": "4"}
LOST = "Uvicorn, `CONN_MAX_AGE=60`"
THREADS = (*GUNICORN, "--worker-class", "gthread", "--threads", "1")
WAYS: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "gunicorn, `CONN_MAX_AGE=0`": (THREADS, "sync", CLOSED),
    "gunicorn, `CONN_MAX_AGE=60`": (THREADS, "sync", KEPT),
    "gunicorn, pool of 4": (THREADS, "sync", POOL),
    "Uvicorn, `CONN_MAX_AGE=0`": (UVICORN, "async", CLOSED),
    LOST: (UVICORN, "async", KEPT),
    "Uvicorn, pool of 4": (UVICORN, "async", POOL),
}


def served(way: str) -> Any:
    """Serve the pages of this module in one of the ways."""
    command, _, variables = WAYS[way]
    variables = {name: database_url(value) if name == "DATABASE_URL" else value for name, value in variables.items()}
    return serve(*command, urls=ROUTES, **variables)


@dataclass(frozen=True)
class Asked:
    """What came of asking a server many times: the median time in milliseconds, and the connections."""

    median: float
    used: int
    left: int


@cache
def measure(requests: int) -> dict[str, Asked]:
    """Ask each way so many times for one small query; the ways take turns."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    seen: dict[str, set[int]] = {way: set() for way in WAYS}
    with ExitStack() as using:
        clients = {
            way: using.enter_context(closing(HTTPConnection(urlsplit(using.enter_context(served(way))).netloc)))
            for way in WAYS
        }
        for _ in range(requests):
            for way, (_, view, _) in WAYS.items():
                start = time.perf_counter()
                clients[way].request("GET", f"/{view}/which/")
                answer = clients[way].getresponse()
                text = answer.read()
                times[way].append(1000 * (time.perf_counter() - start))
                assert answer.status == 200
                seen[way].add(json.loads(text)["backend"])
        return {
            way: Asked(median(times[way][requests // 11 :]), len(seen[way]), left(seen[way], closed=given == CLOSED))
            for way, (_, _, given) in WAYS.items()
        }


def left(backends: set[int], *, closed: bool) -> int:
    """Return how many of these connections are open; if all are closed, when the server has noticed."""
    for _ in range(100):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [list(backends)])
            found = int(cursor.fetchone()[0])
        if not (closed and found):
            break
        time.sleep(0.05)
    return found


@TOGETHER
def test_the_record_of_connections(record: Recorder) -> None:
    lines = ["| 40 requests, one after the other | connections they used | open afterwards |", "| --- | ---: | ---: |"]
    found = measure(40)
    assert 1 <= found[LOST].left < 40
    for way, asked in found.items():
        lines.append(f"| {way} | {asked.used} | {'some' if way == LOST else asked.left} |")
    record("async_database_connections.md", "\n".join(lines))


def wrapper(number: int, pool: dict[str, Any] | None, **changes: Any) -> DatabaseWrapper:
    """Return a connection as another thread would have it."""
    changes |= {"CONN_MAX_AGE": 0} | changes
    settings = {**connection.settings_dict, **changes, "OPTIONS": {"pool": pool} if pool else {}}
    return DatabaseWrapper(settings, f"pooled{number}")


@pytest.mark.django_db(transaction=True)
def test_an_exhausted_pool(session: Callable[..., None]) -> None:
    made: list[DatabaseWrapper] = []

    def three_threads(pool: dict[str, Any]) -> list[DatabaseWrapper]:
        made.extend(wrapper(1, pool) for _ in range(3))
        made[0].pool.open(wait=True)  # the time to connect does not count
        return made

    session("async_database_pool.pycon", three_threads=three_threads)
    for one in made:
        one.close()
    made[0].close_pool()


@TOGETHER
def test_a_pool_and_lasting_connections_exclude_each_other() -> None:
    with pytest.raises(ImproperlyConfigured, match="Pooling doesn't support persistent connections"):
        wrapper(2, {"max_size": 1}, CONN_MAX_AGE=60).ensure_connection()


def test_a_server_without_room(record: Recorder) -> None:
    with running("postgresql") as url, ExitStack() as using:
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("CREATE ROLE academy LOGIN PASSWORD 'academy' IN ROLE pg_monitor")
            limit = owner.execute("SHOW max_connections").fetchone()
        parts = urlsplit(url)
        mine = f"postgres://academy:academy@{parts.hostname}:{parts.port}{parts.path}"
        first = using.enter_context(closing(psycopg.connect(mine, autocommit=True)))
        for _ in range(200):  # until the server has let go of the owner's connection and of those before it
            others = first.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid != pg_backend_pid()"
            ).fetchone()
            if others == (0,):
                break
            time.sleep(0.05)
        for _ in range(96):
            using.enter_context(closing(psycopg.connect(mine)))
        with pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(mine)
        text = str(refused.value).strip()
    assert limit == ("100",)
    record("async_database_full.txt", f"after 97 connections:\n{text[text.index('FATAL') :]}")


FORKED = """
import os, sys
from psycopg_pool import ConnectionPool

def backend(pool):
    with pool.connection(timeout=5) as connection:
        return connection.execute("SELECT pg_backend_pid()").fetchone()[0]

with ConnectionPool(sys.argv[1], min_size=1, max_size=1, open=True) as pool:
    before = backend(pool)
    if (child := os.fork()) == 0:
        os._exit(0 if backend(pool) == before else 1)
    _, status = os.waitpid(child, 0)
    print("same" if status == 0 else "another")
"""


@TOGETHER
def test_a_forked_pool_shares_its_connection() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, database_url()], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "same"


# Measured


@pytest.mark.measures("async_database")
@TOGETHER
def test_what_a_connection_costs(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    recorded = measured(
        "async_database.json",
        lambda: Measurement(
            title="A request with one query, by what happens to its connection",
            description="A new connection for each request costs the most, with both servers.",
            x="server and setting",
            y="median of 300 requests (ms)",
            versions={name: version(name.lower()) for name in ("Django", "gunicorn", "Uvicorn", "psycopg")},
            bars={way.replace("`", ""): round(asked.median, 2) for way, asked in measure(330).items()},
        ),
    )
    bars = recorded.bars
    for kept in ("CONN_MAX_AGE=60", "pool of 4"):
        assert 2 * bars[f"gunicorn, {kept}"] < bars["gunicorn, CONN_MAX_AGE=0"], "the larger part of the request"
    assert 1.3 * bars["Uvicorn, pool of 4"] < bars["Uvicorn, CONN_MAX_AGE=0"]
    assert 1 / 1.3 < bars["Uvicorn, CONN_MAX_AGE=60"] / bars["Uvicorn, CONN_MAX_AGE=0"] < 1.3, "no gain"
