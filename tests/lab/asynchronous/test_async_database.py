"""Async code and the database: transactions, queries that do not overlap, connections and pools."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
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
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper

from lab.academy.models import Learner
from lab.asynchronous import async_database
from lab.asynchronous.async_database import amove, backend, move
from lab.asynchronous.async_database_samples import wrong_atomic, wrong_move
from lab.asynchronous.upstream import ask as fetch
from scripts.services import running
from scripts.services import url as server_url
from tests.lab.asynchronous.asgi import ask
from tests.lab.serving import GUNICORN, UVICORN, serve
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.fixture
def native() -> Iterator[None]:
    """Forget psycopg's pool after the test: it belongs to the event loop that opened it."""
    async_database.pool.cache_clear()
    yield
    async_database.pool.cache_clear()


def sleeping() -> int:
    """Return how many slow queries the server runs at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE state = 'active' AND query = 'SELECT pg_sleep(0.3)' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def together(url: str, *paths: str) -> tuple[int, float]:
    """Send requests at once; return how many of their queries ran at the same moment, and the seconds."""
    most, start = 0, time.perf_counter()
    with ThreadPoolExecutor(len(paths)) as threads:
        asked = [threads.submit(fetch, f"{url}/{path}/") for path in paths]
        while not all(one.done() for one in asked):
            most = max(most, sleeping())
        for one in asked:
            one.result()
    return most, time.perf_counter() - start


@TOGETHER
def test_the_record_of_queries_that_overlap(record: Recorder) -> None:
    ways = {
        "one request, one after the other": ["one-by-one"],
        "one request, in a `TaskGroup`": ["in-a-group"],
        "three requests": ["one"] * 3,
        "one request, psycopg's async connections": ["natively"],
    }
    lines = ["| Three queries of 0.3 s | at the same moment | takes at least |", "| --- | ---: | ---: |"]
    with serve(*UVICORN, urls=ROUTES) as url:
        together(url, "one")
        for name, paths in ways.items():
            most, seconds = together(url, *paths)
            least = round(0.9 / most, 1)
            lines.append(f"| {name} | {most} | {least} s |")
            assert seconds > least
    record("async_database_overlap.md", "\n".join(lines))


@TOGETHER
def test_the_views_in_this_process(native: None) -> None:
    async def all_of_them() -> list[bytes]:
        try:
            return [await ask(f"/{path}/") for path in ("one-by-one", "in-a-group", "one", "natively")]
        finally:
            await async_database.pool().close()

    assert asyncio.run(all_of_them()) == [b"{}"] * 4
    assert json.loads(asyncio.run(ask("/async/which/"))).keys() == {"backend"}
    assert json.loads(asyncio.run(ask("/sync/which/"))).keys() == {"backend"}
    assert backend() == connection.connection.info.backend_pid


# Connections


def database_url(query: str = "") -> str:
    """Return the URL of this test's database."""
    name = connection.settings_dict["NAME"]
    return urlsplit(server_url("postgresql"))._replace(path=f"/{name}", query=query).geturl()


KEPT = {"DATABASE_URL": "conn_max_age=60"}
CLOSED = {"DATABASE_URL": "conn_max_age=0"}
POOL = {"SERVED_POOL": "4"}
THREADS = (*GUNICORN, "--worker-class", "gthread", "--threads", "1")
WAYS: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "gunicorn, `CONN_MAX_AGE=0`": (THREADS, "sync", CLOSED),
    "gunicorn, `CONN_MAX_AGE=60`": (THREADS, "sync", KEPT),
    "gunicorn, pool of 4": (THREADS, "sync", POOL),
    "Uvicorn, `CONN_MAX_AGE=0`": (UVICORN, "async", CLOSED),
    "Uvicorn, `CONN_MAX_AGE=60`": (UVICORN, "async", KEPT),
    "Uvicorn, pool of 4": (UVICORN, "async", POOL),
}


def served(way: str) -> Any:
    """Serve the pages of this module in one of the ways."""
    command, _, variables = WAYS[way]
    variables = {name: database_url(value) if name == "DATABASE_URL" else value for name, value in variables.items()}
    return serve(*command, urls=ROUTES, **variables)


def used(way: str, requests: int) -> tuple[int, int]:
    """Return how many connections so many requests used, one after the other, and how many are open then."""
    _, view, _ = WAYS[way]
    with served(way) as url, closing(HTTPConnection(urlsplit(url).netloc)) as client:
        seen = set()
        for _ in range(requests):
            client.request("GET", f"/{view}/which/")
            seen.add(json.loads(client.getresponse().read())["backend"])
        time.sleep(0.5)  # a closed connection's process ends
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [list(seen)])
            return len(seen), int(cursor.fetchone()[0])


@TOGETHER
def test_the_record_of_connections(record: Recorder) -> None:
    lines = ["| 40 requests, one after the other | connections they used | open afterwards |", "| --- | ---: | ---: |"]
    found = {way: used(way, 40) for way in WAYS}
    lost = found["Uvicorn, `CONN_MAX_AGE=60`"][1]
    assert 1 <= lost < 40
    for way, (many, left) in found.items():
        shown = "some" if way == "Uvicorn, `CONN_MAX_AGE=60`" else str(left)
        lines.append(f"| {way} | {many} | {shown} |")
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
            owner.execute("CREATE ROLE academy LOGIN PASSWORD 'academy'")
            limit = owner.execute("SHOW max_connections").fetchone()
        parts = urlsplit(url)
        mine = f"postgres://academy:academy@{parts.hostname}:{parts.port}{parts.path}"
        for _ in range(97):
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


@cache
def measure(requests: int, *ways: str) -> dict[str, float]:
    """Return the median time of a request with one small query, for each way; they take turns."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    with ExitStack() as using:
        clients = {
            way: using.enter_context(closing(HTTPConnection(urlsplit(using.enter_context(served(way))).netloc)))
            for way in ways
        }
        for turn in range(requests // 10 + requests):
            for way, seen in times.items():
                start = time.perf_counter()
                clients[way].request("GET", f"/{WAYS[way][1]}/which/")
                answer = clients[way].getresponse()
                answer.read()
                taken = 1000 * (time.perf_counter() - start)
                assert answer.status == 200
                if turn >= requests // 10:
                    seen.append(taken)
    return {way.replace("`", ""): round(median(seen), 2) for way, seen in times.items()}


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
            bars=measure(300, *WAYS),
        ),
    )
    for bars in (recorded.bars, measure(20, *list(WAYS)[:2], *list(WAYS)[3:6:2])):
        assert bars["gunicorn, CONN_MAX_AGE=60"] < bars["gunicorn, CONN_MAX_AGE=0"]
        assert bars["Uvicorn, pool of 4"] < bars["Uvicorn, CONN_MAX_AGE=0"]
    bars = recorded.bars
    assert bars["gunicorn, pool of 4"] < bars["gunicorn, CONN_MAX_AGE=0"]
    assert abs(bars["Uvicorn, CONN_MAX_AGE=60"] / bars["Uvicorn, CONN_MAX_AGE=0"] - 1) < 0.3, "no gain"
