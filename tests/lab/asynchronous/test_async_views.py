"""Async views: waits that overlap, queries that are refused, streams, and clients that go."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import threading
import time
import warnings
from contextlib import ExitStack, closing, suppress
from functools import cache
from http.client import HTTPConnection
from importlib.metadata import version
from inspect import iscoroutinefunction
from io import BytesIO
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_required, permission_required, user_passes_test
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import FileResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from lab.academy.models import Course
from lab.asynchronous.async_views import PIECES, aplain, export, produced
from lab.asynchronous.upstream import ask as fetch
from lab.asynchronous.upstream import running
from tests.lab.asynchronous.asgi import Visitor, ask
from tests.lab.serving import GUNICORN, UVICORN, serve
from tests.recording.chart import Measurement
from tests.recording.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

TOGETHER = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.urls("lab.asynchronous.async_views_samples")
QUIET = ("--no-server-header", "--no-date-header")


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A slow service that the views ask."""
    with running() as service:
        monkeypatch.setenv("UPSTREAM_URL", service.url)
        yield service


def names() -> dict[str, Any]:
    """Return what the recorded sessions begin with."""
    return {"async_to_sync": async_to_sync, "AsyncClient": AsyncClient, "Client": Client}


def test_two_services_are_asked_at_once(upstream: Any, session: Callable[..., None]) -> None:
    session("async_views_dashboard.pycon", upstream=upstream, **names())
    assert upstream.most == 2


def test_a_service_that_does_not_answer(upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = asyncio.timeout
    monkeypatch.setattr("lab.asynchronous.async_views.asyncio.timeout", lambda _: limit(0.05))
    answer = Client().get("/dashboard/?ms=held")
    assert answer.status_code == 504
    upstream.release("grades")
    upstream.release("messages")


# The ORM


def test_the_async_orm(academy: None, session: Callable[..., None]) -> None:
    session("async_views_course.pycon", **names())


@pytest.mark.wrong("lab/asynchronous/async_views_samples.py:wrong_seat")
def test_a_query_in_the_loop_is_refused(academy: None, session: Callable[..., None]) -> None:
    session("async_views_seat.pycon", **names())


@pytest.mark.django_db
def test_the_switch_lets_the_query_block_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def note(execute: Any, *arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return execute(*arguments)

    async def count(*, refused: bool) -> int:
        with connection.execute_wrapper(note):
            if refused:
                with pytest.raises(SynchronousOnlyOperation):
                    Course.objects.count()
            else:
                Course.objects.count()
                connection.connection.close()  # close() leaves databases in memory open
        return threading.get_ident()

    asyncio.run(count(refused=True))
    assert not threads
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    assert threads == [asyncio.run(count(refused=False))]


def test_what_has_an_async_form() -> None:
    queries = ["get", "create", "count", "exists", "first", "last", "aggregate", "bulk_create", "bulk_update",
               "get_or_create", "update_or_create", "in_bulk", "iterator", "update", "delete", "contains",
               "earliest", "latest", "explain"]  # fmt: skip
    for name in queries:
        assert hasattr(QuerySet, name)
        assert hasattr(QuerySet, f"a{name}")
    for name in ("save", "delete", "refresh_from_db", "full_clean"):
        assert hasattr(Course, f"a{name}") is (name != "full_clean")
    with pytest.raises(TypeError, match=r"asynchronous context manager|__aenter__"):
        asyncio.run(in_a_transaction())
    assert not hasattr(connection.cursor, "__aenter__")


async def in_a_transaction() -> None:
    """Try what does not exist."""
    async with transaction.atomic():  # type: ignore[attr-defined]
        pass


# Decorators


def test_djangos_decorators_take_async_views() -> None:
    decorators: list[Callable[[Any], Any]] = [
        require_safe, require_POST, condition(), cache_control(private=True), never_cache, cache_page(60),
        vary_on_headers("Accept"), csrf_exempt, csrf_protect, gzip_page, xframe_options_deny, login_required,
        permission_required("academy.view_course"), user_passes_test(bool),
    ]  # fmt: skip
    for decorator in decorators:
        assert iscoroutinefunction(decorator(aplain)) or asyncio.iscoroutinefunction(decorator(aplain)), decorator
    assert not iscoroutinefunction(transaction.atomic(aplain))


@pytest.mark.wrong("lab/asynchronous/async_views_samples.py:wrong_timed")
@pytest.mark.filterwarnings("ignore:coroutine 'aplain' was never awaited")
def test_a_decorator_of_your_own(session: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "django.request")  # a record would keep the coroutine
    session("async_views_timed.pycon", **names())
    assert "Server-Timing" in Client().get("/timed-sync/")
    assert "Server-Timing" in Client().get("/wrong-timed-sync/"), "it is wrong for async views alone"
    gc.collect()  # the coroutine that nobody awaited


# The client goes


async def leave(path: str, upstream: Any, arrivals: int) -> Visitor:
    """Ask, and go away when so many requests have arrived at the service."""
    visitor = Visitor(path)
    asking = asyncio.create_task(visitor.ask())
    while len(upstream.seen) < arrivals:
        await asyncio.sleep(0.005)
    visitor.gone.set()
    await asking
    return visitor


def test_the_view_is_cancelled(upstream: Any) -> None:
    visitor = asyncio.run(leave("/certificate/", upstream, 2))
    assert upstream.seen == ["reserved", "printed", "released"]
    assert visitor.status == 0
    upstream.release("printed")
    assert asyncio.run(ask("/certificate/")) == b'{"printed": true}'


def go_away(url: str) -> socket.socket:
    """Send a request and return the connection."""
    address = urlsplit(url)
    client = socket.create_connection((address.hostname, address.port))
    client.sendall(f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return client


@pytest.mark.wrong("lab/asynchronous/async_views_samples.py:wrong_join")
@pytest.mark.databases("postgresql")
@TOGETHER
@pytest.mark.parametrize("way", ["wrong-join", "join"])
def test_a_transaction_goes_on_when_the_client_has_gone(academy: None, upstream: Any, way: str) -> None:
    course = Course.objects.filter(published=True).exclude(enrollments__learner_id=1)[0]
    joined = course.enrollments.filter(learner_id=1)
    locked, unlock = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Course.objects.select_for_update().get(pk=course.pk)
            locked.set()
            unlock.wait(10)
        connection.close()

    def waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            return bool(cursor.fetchone()[0])

    async def visit() -> Visitor:
        visitor = Visitor(f"/{way}/1/{course.slug}/")
        asking = asyncio.create_task(visitor.ask())
        while not await asyncio.to_thread(in_thread, waiting):
            await asyncio.sleep(0.01)
        visitor.gone.set()
        for _ in range(100):  # turns of the loop, in which the view is cancelled
            await asyncio.sleep(0)
        unlock.set()
        await asking
        return visitor

    holding = threading.Thread(target=hold)
    holding.start()
    locked.wait(10)
    visitor = asyncio.run(visit())
    holding.join()
    if way == "join":
        upstream.arrived(1)
    assert visitor.status == 0, "nobody was answered"
    assert joined.exists(), "and the seat is taken"
    assert upstream.seen == (["welcome"] if way == "join" else [])


@TOGETHER
@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("way", ["wrong-join", "join"])
def test_joining_when_the_client_stays(academy: None, upstream: Any, way: str) -> None:
    course = Course.objects.filter(published=True).exclude(enrollments__learner_id=1)[0]
    visitor = asyncio.run(Visitor(f"/{way}/1/{course.slug}/").ask())
    assert visitor.status == 201
    assert upstream.seen == ["welcome"]
    assert course.enrollments.filter(learner_id=1).exists()


def in_thread(function: Callable[[], bool]) -> bool:
    """Ask the database from a thread, and leave no connection behind."""
    try:
        return function()
    finally:
        connection.close()


# Streams


def first_event(url: str, upstream: Any) -> bool:
    """Say whether the first event arrives while the service holds the second step back."""
    with closing(go_away(f"{url}/events/?ms=held")) as client:
        upstream.arrived(1)
        upstream.release("step-1")
        upstream.arrived(2)
        client.settimeout(0.5)
        received = b""
        with suppress(TimeoutError):
            while b"event: step" not in received:
                received += client.recv(65536)
        early = b"event: step" in received
        upstream.release("step-2")
        upstream.release("step-3")
        client.settimeout(10)
        while b"id: 3" not in received:
            received += client.recv(65536)
        return early


def pieces_for_a_client_that_does_not_read(url: str) -> int:
    """Return how many of the thousand pieces are made for it; then read them all."""
    with closing(go_away(f"{url}/export/")) as client:
        counts: list[int] = []
        while len(counts) < 3 or counts[-1] != counts[-3] or not counts[-1]:
            counts.append(json.loads(fetch(f"{url}/produced/"))["pieces"])
            time.sleep(0.05)
        read = 0
        while read < 65_536 * PIECES:
            read += len(client.recv(1_000_000))
    assert json.loads(fetch(f"{url}/produced/")) == {"pieces": PIECES}
    return counts[-1]


@pytest.mark.databases("postgresql")
@TOGETHER
def test_streams_and_clients_that_go(record: Recorder) -> None:
    lines = {}
    shared = {
        "urls": "lab.asynchronous.async_views",
        "DJANGO_SETTINGS_MODULE": "tests.lab.asynchronous.stacks",
        "MIDDLEWARE_STACK": "no middleware",
    }
    for name, command in {"Uvicorn": (*UVICORN, *QUIET), "gunicorn": GUNICORN}.items():
        with running() as upstream, serve(*command, **shared, UPSTREAM_URL=upstream.url) as url:
            assert first_event(url, upstream) is (name == "Uvicorn")
            before = len(upstream.seen)
            client = go_away(f"{url}/certificate/")
            upstream.arrived(before + 2)
            client.close()
            if name == "Uvicorn":
                upstream.arrived(before + 3)
                assert 0 < pieces_for_a_client_that_does_not_read(url) < PIECES / 2
                headers = {"Accept": "text/event-stream", "Last-Event-ID": "1"}
                record("async_views_events.http", exchange(url, "GET", "/events/", headers).text)
            else:
                time.sleep(0.5)  # for the news that does not come
                upstream.release("printed")
                upstream.finished(before + 2)
            lines[name] = [seen for seen in upstream.seen[before:] if not seen.startswith("step")]
    assert lines == {"Uvicorn": ["reserved", "printed", "released"], "gunicorn": ["reserved", "printed"]}
    record("async_views_gone.txt", "\n".join(f"{name + ':':9} {', '.join(seen)}" for name, seen in lines.items()))


def test_the_generator_waits_for_the_client() -> None:
    async def visit() -> tuple[int, int]:
        visitor = Visitor("/export/")
        visitor.reads.clear()
        asking = asyncio.create_task(visitor.ask())
        while not produced["pieces"]:
            visitor.reads.set()
            await asyncio.sleep(0)
        visitor.reads.clear()
        stopped = produced["pieces"]
        await asyncio.sleep(0.05)
        later = produced["pieces"]
        visitor.reads.set()
        await asking
        assert len(visitor.body) == 65_536 * PIECES
        return stopped, later

    stopped, later = asyncio.run(visit())
    assert later - stopped <= 1
    assert produced["pieces"] == PIECES


def test_wsgi_collects_an_async_iterator(upstream: Any, session: Callable[..., None]) -> None:
    session("async_views_wsgi.pycon", warnings=warnings, upstream=upstream, **names())


def test_asgi_collects_a_sync_iterator() -> None:
    made: list[int] = []

    def steps() -> Iterator[bytes]:
        for step in range(3):
            made.append(step)
            yield b"step\n"

    async def first(response: StreamingHttpResponse) -> list[int]:
        async for _ in response:
            return list(made)
        return []

    with pytest.warns(Warning, match="must consume synchronous iterators"):
        assert asyncio.run(first(StreamingHttpResponse(steps()))) == [0, 1, 2]


def test_asgi_reads_a_file_response_whole() -> None:
    class File(BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            return super().read(size)

    file = File(b"x" * 10 * 4096)

    async def first() -> int:
        async for _ in FileResponse(file):
            return file.reads
        return 0

    with pytest.warns(Warning, match="must consume synchronous iterators"):
        assert asyncio.run(first()) == 11, "ten blocks and the end, before the first is sent"


def test_how_many_pieces_were_made() -> None:
    assert Client().get("/produced/").json() == produced


def test_export_is_an_async_iterator() -> None:
    async def two() -> int:
        pieces = export()
        total = len(await anext(pieces)) + len(await anext(pieces))
        await pieces.aclose()  # type: ignore[attr-defined]
        return total

    assert asyncio.run(two()) == 2 * 65_536


# Measured


@cache
def measure(requests: int) -> dict[str, float]:
    """Return the median time of a request for a view that does nothing, by server and kind; they take turns."""
    ways = {
        ("gunicorn", "plain"): "gunicorn (WSGI), sync view",
        ("gunicorn", "aplain"): "gunicorn (WSGI), async view",
        ("Uvicorn", "plain"): "Uvicorn (ASGI), sync view",
        ("Uvicorn", "aplain"): "Uvicorn (ASGI), async view",
    }
    times: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    with ExitStack() as stack:
        clients = {}
        for name, command in {
            "gunicorn": (*GUNICORN, "--worker-class", "gthread", "--threads", "1"),
            "Uvicorn": UVICORN,
        }.items():
            url = stack.enter_context(serve(*command, urls="lab.asynchronous.async_views"))
            clients[name] = stack.enter_context(closing(HTTPConnection(urlsplit(url).netloc)))
        for turn in range(requests // 10 + requests):
            for (server, view), seen in times.items():
                start = time.perf_counter()
                clients[server].request("GET", f"/{view}/")
                answer = clients[server].getresponse()
                answer.read()
                taken = 1000 * (time.perf_counter() - start)
                assert answer.status == 200
                if turn >= requests // 10:
                    seen.append(taken)
    return {ways[way]: round(median(seen), 2) for way, seen in times.items()}


@pytest.mark.measures("async_views")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_what_an_async_view_costs(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    recorded = measured(
        "async_views.json",
        lambda: Measurement(
            title="A view that does nothing, by server and kind",
            description="The sync view under WSGI is the fastest; under ASGI both kinds take longer.",
            x="server and view",
            y="median of 500 requests (ms)",
            versions={name: version(name.lower()) for name in ("Django", "gunicorn", "Uvicorn")},
            bars=measure(500),
        ),
    )
    bars = recorded.bars
    fastest = bars["gunicorn (WSGI), sync view"]
    assert all(1.3 * fastest < taken for name, taken in bars.items() if name != "gunicorn (WSGI), sync view")
    for kind in ("sync", "async"):
        assert 1.3 * bars[f"gunicorn (WSGI), {kind} view"] < bars[f"Uvicorn (ASGI), {kind} view"], "both take longer"
    assert measure(20).keys() == bars.keys()
