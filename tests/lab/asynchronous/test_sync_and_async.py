"""Who runs in which thread, what that costs, and what one synchronous middleware changes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from contextlib import ExitStack, closing
from contextvars import copy_context
from functools import cache
from http.client import HTTPConnection
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.dispatch import Signal
from django.test import Client

from lab.asynchronous.sync_and_async import (
    command,
    course,
    desk,
    grade,
    meet_twice,
    move,
    report,
)
from lab.asynchronous.upstream import ask as fetch
from lab.asynchronous.upstream import running
from tests.lab.asynchronous.asgi import Visitor, ask
from tests.lab.serving import GUNICORN, UVICORN, serve
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_django import Settings

    from tests.recording.files import Recorder

SAMPLES = "lab/asynchronous/sync_and_async_samples.py"
TOGETHER = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.urls("lab.asynchronous.sync_and_async_samples")

NINE = "the lab's nine"
WSGI = "the lab's nine under WSGI (gunicorn)"


def stack(name: str) -> list[str]:
    """Return a list of middleware."""
    from lab.settings import MIDDLEWARE

    sync, both = f"{SAMPLES[:-3].replace('/', '.')}.wrong_room", "lab.asynchronous.sync_and_async.room"
    return {
        "no middleware": [],
        "one sync": [sync],
        "one both": [both],
        "one class": ["lab.asynchronous.sync_and_async.Room"],
        NINE: MIDDLEWARE,
        "sync, then the nine": [sync, *MIDDLEWARE],
        "both, then the nine": [both, *MIDDLEWARE],
        "the nine, then sync": [*MIDDLEWARE, sync],
    }[name]


# Where code runs


def test_the_two_adapters(session: Callable[..., None]) -> None:
    session("sync_and_async_adapters.pycon", asyncio=asyncio, report=report, command=command)


async def from_two_requests() -> list[bytes]:
    """Send two requests at once."""
    application = ASGIHandler()
    return list(await asyncio.gather(ask("/two/", application), ask("/two/", application)))


def test_thread_sensitive_code_takes_turns_within_a_request(settings: Settings, record: Recorder) -> None:
    settings.MIDDLEWARE = []
    met = {
        "two calls in one request": asyncio.run(ask("/one/?sensitive=true")) == b'{"met": true}',
        "the same, `thread_sensitive=False`": asyncio.run(ask("/one/?sensitive=false")) == b'{"met": true}',
        "one call in each of two requests": asyncio.run(from_two_requests()) == [b'{"met": true}'] * 2,
        "two calls outside of any request": asyncio.run(meet_twice(thread_sensitive=True)),
    }
    rows = ["| Two calls of a synchronous function | At once |", "| --- | --- |"]
    rows += [f"| {name} | {'yes' if together else 'no, one after the other'} |" for name, together in met.items()]
    record("sync_and_async_threads.md", "\n".join(rows))
    assert list(met.values()) == [False, True, True, False]


def test_the_other_threads_are_kept_and_used_again() -> None:
    async def calls() -> set[int]:
        get_ident = sync_to_async(threading.get_ident, thread_sensitive=False)
        seen = {await get_ident() for _ in range(50)}
        assert seen <= {thread.ident for thread in threading.enumerate()}, "they are alive"
        return seen

    assert len(asyncio.run(calls())) <= min(32, (os.cpu_count() or 1) + 4)


@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_connection_for_each_thread() -> None:
    def left(wanted: Callable[[int], bool]) -> int:
        """Return how many connections the server process has left open, when it has closed those that it closes."""
        for _ in range(100):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid != pg_backend_pid()"
                )
                (found,) = cursor.fetchone()
            if wanted(found):
                break
            time.sleep(0.05)
        return int(found)

    assert asyncio.run(ask("/sessions/?sensitive=true")) == b'{"connections": 1}'
    settings = "tests.lab.asynchronous.stacks"
    with serve(*UVICORN, urls="lab.asynchronous.sync_and_async", DJANGO_SETTINGS_MODULE=settings) as url:
        assert fetch(f"{url}/sessions/?sensitive=true") == '{"connections": 1}'
        assert left(lambda found: found == 0) == 0, "closed with the request"
        used = json.loads(fetch(f"{url}/sessions/?sensitive=false"))["connections"]
        assert used > 1
        time.sleep(0.2)
        assert left(lambda found: found == used) == used, "nothing closes those of the other threads"


# What crosses the border


def test_context_crosses_and_thread_locals_do_not(record: Recorder) -> None:
    ways: dict[str, Callable[[str], Awaitable[tuple[str, str]]]] = {
        "`sync_to_async`": sync_to_async(move),
        "`sync_to_async(thread_sensitive=False)`": sync_to_async(move, thread_sensitive=False),
        "`asyncio.to_thread`": lambda to: asyncio.to_thread(move, to),
    }

    async def one(way: Callable[[str], Awaitable[tuple[str, str]]]) -> tuple[bool, bool, bool, bool]:
        course.set("Caching")
        desk.course = "Caching"
        async with ThreadSensitiveContext():
            variable, local = await way("Python")
        return variable == "Caching", course.get() == "Python", local == "Caching", desk.course == "Python"

    head = ["Way into the thread", "`ContextVar` goes in", "its change comes back"]
    head += ["`threading.local` goes in", "its change comes back"]
    rows = ["| " + " | ".join(head) + " |", "| --- | --- | --- | --- | --- |"]
    results = []
    for name, way in ways.items():
        results.append(copy_context().run(asyncio.run, one(way)))
        rows.append(f"| {name} | " + " | ".join("yes" if crossed else "no" for crossed in results[-1]) + " |")
    record("sync_and_async_context.md", "\n".join(rows))
    assert results == [(True, True, False, False), (True, True, False, False), (True, False, False, False)]


def test_async_to_sync_in_a_running_loop(session: Callable[..., None]) -> None:
    session("sync_and_async_running.pycon", Client=Client)


@pytest.mark.wrong("lab/asynchronous/sync_and_async_samples.py:wrong_mean")
@pytest.mark.parametrize("path", ["wrong-mean", "mean"])
def test_the_hidden_loop(path: str) -> None:
    if path == "mean":
        assert Client().get("/mean/").json() == {"mean": 17.0}
    else:
        with pytest.raises(RuntimeError, match="You cannot use AsyncToSync"):
            Client().get("/wrong-mean/")


def test_waiting_for_the_own_loop_is_a_deadlock() -> None:
    async def wait() -> None:
        loop = asyncio.get_running_loop()
        future = asyncio.run_coroutine_threadsafe(grade(), loop)
        with pytest.raises(TimeoutError):
            future.result(0.2)  # without a limit: for ever
        assert await asyncio.wrap_future(future) == 17

    asyncio.run(wait())


def test_receivers_of_signals() -> None:
    ready = Signal()
    threads: dict[str, bool] = {}

    def receiver(**_: Any) -> None:
        threads["sync"] = threading.current_thread() is threading.main_thread()

    async def areceiver(**_: Any) -> None:
        threads["async"] = threading.current_thread() is threading.main_thread()

    ready.connect(receiver)
    ready.connect(areceiver)
    asyncio.run(ready.asend(sender=None))
    assert threads == {"sync": False, "async": True}
    ready.send(sender=None)
    assert threads == {"sync": True, "async": False}


# Middleware


@pytest.fixture
def crossings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions that went from the loop into a thread."""
    names = []
    call = SyncToAsync.__call__

    async def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        names.append(self.func.__qualname__)
        return await call(self, *arguments, **options)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)
    return names


@pytest.mark.wrong("lab/asynchronous/sync_and_async_samples.py:wrong_room")
def test_how_often_a_request_crosses(settings: Settings, crossings: list[str], record: Recorder) -> None:
    shown = {
        "no middleware": "none",
        "one both": "`room`",
        "one sync": "`wrong_room`",
        NINE: "the lab's nine",
        "both, then the nine": "`room`, then the nine",
        "sync, then the nine": "`wrong_room`, then the nine",
        "the nine, then sync": "the nine, then `wrong_room`",
    }
    counts = {}
    rows = ["| Middleware | Steps into a thread |", "| --- | ---: |"]
    for name, text in shown.items():
        settings.MIDDLEWARE = stack(name)
        crossings.clear()
        asyncio.run(ask("/plain/"))
        counts[name] = len(crossings)
        rows.append(f"| {text} | {counts[name]} |")
    record("sync_and_async_crossings.md", "\n".join(rows))
    assert counts["no middleware"] == counts["one both"] == 2, "the signals at the beginning and the end"
    assert counts["one sync"] == 3
    assert counts[NINE] == counts["both, then the nine"]
    assert counts["sync, then the nine"] == counts[NINE] + 1
    assert counts["the nine, then sync"] < counts[NINE]


def test_the_names_of_the_crossings(settings: Settings, crossings: list[str]) -> None:
    asyncio.run(ask("/plain/"))
    hooks = {name.split(".")[-1] for name in crossings[1:-1]}
    assert hooks == {"process_request", "process_view", "process_response"}
    assert crossings[0] == "Signal.asend.<locals>.sync_send"
    assert crossings[-1] == "HttpResponseBase.close"


@pytest.mark.parametrize("name", ["no middleware", "one both", "one sync", NINE])
def test_each_request_under_way_has_a_thread(settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    settings.MIDDLEWARE = stack(name)

    async def crowd(visitors: int) -> int:
        application = ASGIHandler()
        before = set(threading.enumerate())
        waiting = [asyncio.create_task(ask("/held/", application)) for _ in range(visitors)]
        while len(upstream.seen) < visitors:
            await asyncio.sleep(0.01)
        threads = set(threading.enumerate()) - before
        upstream.release("it")
        await asyncio.gather(*waiting)
        return len(threads)

    with running() as upstream:
        monkeypatch.setenv("UPSTREAM_URL", upstream.url)
        assert asyncio.run(crowd(20)) == 20


@pytest.mark.parametrize("name", ["one both", "one class", "one sync"])
def test_the_middleware_works_on_both_sides(settings: Settings, name: str) -> None:
    settings.MIDDLEWARE = stack(name)
    assert Client().get("/plain/")["X-Room"] == "12"
    application = ASGIHandler()
    visitor = asyncio.run(Visitor("/plain/").ask(application))
    assert visitor.status == 200


@pytest.mark.wrong("lab/asynchronous/sync_and_async_samples.py:wrong_room")
def test_django_logs_what_it_adapts(settings: Settings, caplog: pytest.LogCaptureFixture, record: Recorder) -> None:
    caplog.set_level(logging.DEBUG, "django.request")
    settings.DEBUG = True
    settings.MIDDLEWARE = stack("sync, then the nine")
    ASGIHandler()
    record("sync_and_async_log.txt", "\n".join(entry.getMessage() for entry in caplog.records))
    caplog.clear()
    settings.MIDDLEWARE = stack("both, then the nine")
    ASGIHandler()
    WSGIHandler()
    assert not caplog.records


# Measured


def each(function: Callable[[], object], times: int) -> float:
    """Return how many microseconds a call takes on average, after a tenth of them to warm up."""
    for _ in range(times // 10):
        function()
    start = time.perf_counter()
    for _ in range(times):
        function()
    return 1e6 * (time.perf_counter() - start) / times


async def aeach(function: Callable[[], Awaitable[object]], times: int) -> float:
    """Do the same with an awaitable."""
    for _ in range(times // 10):
        await function()
    start = time.perf_counter()
    for _ in range(times):
        await function()
    return 1e6 * (time.perf_counter() - start) / times


def nothing() -> None:
    """Do nothing."""


async def anothing() -> None:
    """Do nothing, as a coroutine."""


async def in_request(times: int) -> dict[str, float]:
    """Measure the crossings that a request makes."""
    async with ThreadSensitiveContext():
        return {
            "await a coroutine": await aeach(anothing, times),
            "await sync_to_async(f)()": await aeach(sync_to_async(nothing), times),
            "the same, thread_sensitive=False": await aeach(sync_to_async(nothing, thread_sensitive=False), times),
            "await asyncio.to_thread(f)": await aeach(lambda: asyncio.to_thread(nothing), times),
            "async_to_sync(f)() in such a thread": await sync_to_async(each)(async_to_sync(anothing), times),
        }


def measure_crossings(rounds: int, times: int) -> dict[str, float]:
    """Return the median over rounds of the time of one crossing, for each way."""
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        ways = asyncio.run(in_request(times))
        ways["async_to_sync(f)(), without a loop"] = each(async_to_sync(anothing), times // 10)
        for name, microseconds in ways.items():
            taken.setdefault(name, []).append(microseconds)
    return {name: round(median(values), 1) for name, values in taken.items()}


@pytest.mark.measures("sync_and_async_crossing")
def test_the_price_of_a_crossing(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    recorded = measured(
        "sync_and_async_crossing.json",
        lambda: Measurement(
            title="One call across the border",
            description="A call into a thread takes tens of microseconds, far more than an await; a new loop the most.",
            x="call of a function that does nothing",
            y="time of one call (µs)",
            versions={"asgiref": version("asgiref")},
            bars=measure_crossings(7, 3000),
        ),
    )
    plain, *crossings = measure_crossings(1, 300).values()
    assert all(crossing > 3 * plain for crossing in crossings)
    plain, *crossings = recorded.bars.values()
    assert all(crossing > 100 * plain for crossing in crossings)
    assert all(10 < crossing < 1000 for crossing in crossings), "nowhere near a millisecond"
    assert max(recorded.bars, key=lambda name: recorded.bars[name]) == "async_to_sync(f)(), without a loop"


@cache
def measure_stacks(requests: int, *ways: str) -> dict[str, float]:
    """Return the median time of a request through each stack of middleware; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as using:
        clients = []
        for name in times:
            wsgi = name == WSGI
            command = UVICORN if not wsgi else (*GUNICORN, "--worker-class", "gthread", "--threads", "1")
            url = using.enter_context(
                serve(
                    *command,
                    urls="lab.asynchronous.sync_and_async",
                    DJANGO_SETTINGS_MODULE="tests.lab.asynchronous.stacks",
                    MIDDLEWARE_STACK=NINE if wsgi else name,
                )
            )
            clients.append((using.enter_context(closing(HTTPConnection(urlsplit(url).netloc))), times[name]))
        for turn in range(requests // 10 + requests):
            for client, seen in clients:
                start = time.perf_counter()
                client.request("GET", "/plain/")
                answer = client.getresponse()
                answer.read()
                taken = 1000 * (time.perf_counter() - start)
                assert answer.status == 200
                if turn >= requests // 10:
                    seen.append(taken)
    return {name: round(median(seen), 2) for name, seen in times.items()}


@pytest.mark.wrong("lab/asynchronous/sync_and_async_samples.py:wrong_room")
@pytest.mark.measures("sync_and_async_middleware")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_the_price_of_middleware(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    recorded = measured(
        "sync_and_async_middleware.json",
        lambda: Measurement(
            title="An async view behind stacks of middleware",
            description="The nine of Django cost the most; where the synchronous one stands decides what it adds.",
            x="middleware, in front of an async view",
            y="median of 500 requests (ms)",
            versions={name: version(name.lower()) for name in ("Django", "Uvicorn", "gunicorn")},
            bars=measure_stacks(500, "no middleware", NINE, "sync, then the nine", "the nine, then sync", WSGI),
        ),
    )
    bars = recorded.bars
    assert bars["no middleware"] < bars[NINE]
    assert bars["the nine, then sync"] < bars[NINE], "one crossing in place of twelve"
    assert bars["sync, then the nine"] > bars["the nine, then sync"]
    assert measure_stacks(20, "the nine, then sync").keys() < bars.keys()
