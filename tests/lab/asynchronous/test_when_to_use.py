"""Threads and the event loop under load: waiting, the database, computing, and what happens beyond the limit."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from contextlib import ExitStack, closing
from functools import cache
from http.client import HTTPConnection
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from uvicorn import Config

from lab.academy.seed import seed
from lab.asynchronous.upstream import PATIENCE, running
from lab.asynchronous.upstream import ask as fetched
from tests.lab.serving import GUNICORN, UVICORN, Load, load, serve
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.asynchronous.upstream import Upstream
    from tests.recording.files import Recorder

    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

ROUTES = "lab.asynchronous.when_to_use_samples"
TOGETHER = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.urls(ROUTES)

UVICORN_ONE = "Uvicorn"
KINDS = ("waiting", "database", "computing")
CROWDS = (1, 4, 16, 64, 128)


def threads(number: int) -> tuple[str, ...]:
    """Return the command of gunicorn with one process and so many threads."""
    return (*GUNICORN, "--workers", "1", "--worker-class", "gthread", "--threads", str(number))


SERVERS = {
    "gunicorn, 1 thread": (*GUNICORN, "--workers", "1"),
    "gunicorn, 16 threads": threads(16),
    "gunicorn, 128 threads": threads(128),
    UVICORN_ONE: UVICORN,
}


def side(server: str) -> str:
    """Return under which path a server finds its views."""
    return "async" if server == UVICORN_ONE else "sync"


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A slow service that the views ask."""
    with running() as service:
        monkeypatch.setenv("UPSTREAM_URL", service.url)
        yield service


def test_the_views_answer_the_same(academy: None, upstream: Upstream) -> None:
    for kind, query in (("waiting", "?ms=0"), ("computing", "?rounds=10")):
        sync = Client().get(f"/sync/{kind}/{query}").json()
        assert sync == async_to_sync(AsyncClient().get)(f"/async/{kind}/{query}").json()
        assert sync in ({"grade": "grade"}, {"sum": sum(n * n % 7 for n in range(10))})


@pytest.mark.wrong("lab/asynchronous/when_to_use_samples.py:wrong_waiting")
def test_the_wrong_view_answers_right_and_holds_the_loop(upstream: Upstream) -> None:
    client = AsyncClient()

    async def both(path: str) -> int:
        upstream.seen.clear()
        upstream.done.clear()
        upstream.most = 0
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.get(path)) for _ in range(2)]
        assert all(task.result().json() == {"grade": "grade"} for task in tasks)
        return upstream.most

    assert asyncio.run(both("/async/waiting/?ms=50")) == 2
    assert asyncio.run(both("/wrong/waiting/?ms=50")) == 1


# Beyond the limit


def arrive(upstream: Upstream, url: str, seconds: float) -> socket.socket:
    """Send a request; return when the service was asked, there is an answer, or neither for so many seconds."""
    parts, seen = urlsplit(url), len(upstream.seen)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80))
    query = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    connection.sendall(query.encode())
    end = time.monotonic() + seconds
    while len(upstream.seen) == seen and time.monotonic() < end:
        if select.select([connection], [], [], 0.01)[0]:
            break
    return connection


def beyond(upstream: Upstream, command: tuple[str, ...], view: str, noticed: int) -> tuple[int, int, int, int]:
    """Send twelve requests that last: how many are worked at, refused, kept unseen, and done when nobody waits.

    Those that the server should notice get all the time that they need, the others get little.
    """
    with serve(*command, urls=ROUTES, UPSTREAM_URL=upstream.url) as url:
        path = f"{url}/{view}/waiting/"
        fetched(f"{path}?ms=0")  # the first request loads the routes
        connections = [
            arrive(upstream, f"{path}?ms=held", PATIENCE if number < noticed else 0.05) for number in range(12)
        ]
        working = len(upstream.seen) - 1
        answered, _, _ = select.select(connections, [], [], 0)
        refused = sum(b" 503 " in connection.recv(100) for connection in answered)
        for connection in connections:
            connection.close()
        upstream.release("grade")
        upstream.arrived(1 + 12 - refused)
        return working, refused, 12 - working - refused, len(upstream.seen) - 1


@pytest.mark.databases("postgresql")
@TOGETHER
def test_the_record_of_a_full_server(record: Recorder) -> None:
    ways = {
        "gunicorn, 4 threads": (threads(4), "sync", 4),
        "Uvicorn": (UVICORN, "async", 12),
        "Uvicorn, `--limit-concurrency 5`": ((*UVICORN, "--limit-concurrency", "5"), "async", 12),
    }
    lines = [
        "| Of 12 requests at once | are worked at | refused with 503 | wait unseen | done in the end |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    found = {}
    for name, arguments in ways.items():
        with running() as upstream:  # a service of its own: what is released stays so
            found[name] = beyond(upstream, *arguments)
        lines.append(f"| {name} | " + " | ".join(map(str, found[name])) + " |")
    record("when_to_use_beyond.md", "\n".join(lines))
    assert found["gunicorn, 4 threads"] == (4, 0, 8, 12), "eight of them for clients that have gone"
    assert found["Uvicorn"] == (12, 0, 0, 12)
    working, refused, unseen, done = found["Uvicorn, `--limit-concurrency 5`"]
    assert (working, refused, unseen, done) == (4, 8, 0, 4)


@pytest.mark.wrong("lab/asynchronous/when_to_use_samples.py:wrong_waiting")
@pytest.mark.databases("postgresql")
@TOGETHER
@pytest.mark.parametrize(("server", "view"), [(UVICORN_ONE, "wrong"), ("gunicorn, 1 thread", "sync")])
def test_one_at_a_time(server: str, view: str) -> None:
    with running() as upstream, serve(*SERVERS[server], urls=ROUTES, UPSTREAM_URL=upstream.url) as url:
        path = f"{url}/{view}/waiting/?ms=held"
        connections = [arrive(upstream, path, PATIENCE if number < 1 else 0.05) for number in range(8)]
        seen = len(upstream.seen)
        for connection in connections:
            connection.close()
        upstream.release("grade")  # before the server is told to end: it waits for its requests
    assert seen == 1


# Measured


@cache
def measure(crowds: tuple[int, ...], seconds: int) -> dict[str, dict[str, list[tuple[int, Load]]]]:
    """Return what each server does with each kind of work, by connections; the servers take turns."""
    found: dict[str, dict[str, list[tuple[int, Load]]]] = {kind: {name: [] for name in SERVERS} for kind in KINDS}
    seed(courses=200, learners=10)
    with running() as upstream, ExitStack() as using:
        urls = {
            name: using.enter_context(serve(*command, urls=ROUTES, SERVED_POOL="8", UPSTREAM_URL=upstream.url))
            for name, command in SERVERS.items()
        }
        for kind, servers in found.items():
            for name, url in urls.items():
                load(f"{url}/{side(name)}/{kind}/", connections=16, seconds=1)
            for number in crowds:
                for name, points in servers.items():
                    fetched(f"{urls[name]}/{side(name)}/waiting/?ms=0")  # until the requests of clients gone are done
                    seen = load(f"{urls[name]}/{side(name)}/{kind}/", number, seconds)
                    assert not seen.failed, (kind, name, number, seen)
                    points.append((number, seen))
    return found


def places(name: str, connections: int) -> int:
    """Return how many of the clients' requests a server works at together."""
    return connections if name == UVICORN_ONE else min(connections, int(name.split()[1]))


@cache
def memories(number: int) -> dict[str, float]:
    """Return the resident megabytes of a worker, idle and with so many requests that wait."""
    found = {}
    for name, command in {f"gunicorn, {number} threads": threads(number), UVICORN_ONE: UVICORN}.items():
        with running() as upstream, serve(*command, urls=ROUTES, UPSTREAM_URL=upstream.url) as url:
            path = f"{url}/{side(name)}/waiting/"
            fetched(f"{path}?ms=0")
            worker = largest()
            found[f"{name}, idle"] = round(worker.memory_info().rss / 1e6, 1)
            memory = asyncio.run(held(upstream, f"{path}?ms=held", number, worker))
            found[f"{name}, {number} waiting"] = round(memory / 1e6, 1)
    return found


def largest() -> psutil.Process:
    """Return the process of a server that does the work: of those that this one started, the last in the line."""
    family = [child for child in psutil.Process().children(recursive=True) if running_server(child)]
    return max(family, key=lambda process: process.create_time())


def running_server(process: psutil.Process) -> bool:
    """Say whether this is gunicorn or Uvicorn."""
    return any(name in " ".join(process.cmdline()) for name in ("gunicorn", "uvicorn"))  # or its title says so


async def held(upstream: Upstream, url: str, number: int, worker: psutil.Process) -> int:
    """Return the memory of a worker at which so many requests wait."""
    before = len(upstream.seen)
    parts = urlsplit(url)

    async def one() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        await reader.read()
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(one())
        await asyncio.to_thread(upstream.arrived, before + number)
        memory = int(worker.memory_info().rss)
        upstream.release("grade")
    return memory


@cache
def mixed(connections: int, seconds: int) -> dict[str, float]:
    """Return the 99th percentile of requests that wait 20 ms, alone and beside a client that lets it compute."""
    found = {}
    with running() as upstream, ExitStack() as using:
        for name in ("gunicorn, 16 threads", UVICORN_ONE):
            url = using.enter_context(serve(*SERVERS[name], urls=ROUTES, UPSTREAM_URL=upstream.url))
            path = f"{url}/{side(name)}"
            load(f"{path}/waiting/?ms=20", connections, 1)
            found[f"{name}, alone"] = load(f"{path}/waiting/?ms=20", connections, seconds).p99
            computing = threading.Thread(target=load, args=(f"{path}/computing/?rounds=3000000", 1, seconds + 1))
            computing.start()
            time.sleep(0.3)  # it has begun
            found[f"{name}, beside computing"] = load(f"{path}/waiting/?ms=20", connections, seconds).p99
            computing.join()
    return found


def versions() -> dict[str, str]:
    """Return the versions behind the numbers."""
    return {name: version(name.lower()) for name in ("Django", "gunicorn", "Uvicorn")}


def lines(kind: str, what: str, title: str, description: str, y: str, crowds: tuple[int, ...] = CROWDS) -> Measurement:
    """Return one kind of work as a chart."""
    return Measurement(
        title=title,
        description=description,
        x="connections that ask at once",
        y=y,
        versions=versions(),
        lines={
            name: [(float(number), round(getattr(seen, what), 1)) for number, seen in points]
            for name, points in measure(crowds, 2)[kind].items()
        },
        log_x=True,
        log_y=True,
    )


def at(recorded: Measurement, number: int) -> dict[str, float]:
    """Return the value of each line at so many connections."""
    return {name: dict(points)[number] for name, points in recorded.lines.items()}


@pytest.mark.measures("when_to_use")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_three_kinds_of_work_under_load(measured: Measured, record: Recorder) -> None:
    rate = "answers a second"
    waiting = measured(
        "when_to_use_waiting.json",
        lambda: lines(
            "waiting",
            "throughput",
            "Waiting 100 ms for another service",
            "One and sixteen threads end at 10 and 160.",
            rate,
        ),
    )
    database = measured(
        "when_to_use_database.json",
        lambda: lines(
            "database",
            "throughput",
            "A page of the catalog from PostgreSQL",
            "Uvicorn's line lies below those of 16 and 128 threads.",
            rate,
        ),
    )
    computing = measured(
        "when_to_use_computing.json",
        lambda: lines(
            "computing",
            "throughput",
            "Computing for a few milliseconds",
            "Uvicorn's line lies below those of 16 and 128 threads.",
            rate,
        ),
    )
    tail = measured(
        "when_to_use_tail.json",
        lambda: Measurement(
            title="The slowest answers from the database",
            description="64 clients; Uvicorn's slowest answers take longer than those of 16 threads.",
            x="server",
            y="99th percentile (ms)",
            versions={"Django": version("django")},
            bars={name: dict(points)[64].p99 for name, points in measure(CROWDS, 2)["database"].items()},
        ),
    )
    together = measured(
        "when_to_use_mixed.json",
        lambda: Measurement(
            title="Waiting beside computing",
            description="Beside computing Uvicorn's slowest answers take several times as long as alone.",
            x="server and company",
            y="99th percentile of requests that wait 20 ms (ms)",
            versions={"Django": version("django")},
            bars=mixed(8, 3),
        ),
    )
    memory = measured(
        "when_to_use_memory.json",
        lambda: Measurement(
            title="Memory of 512 waiting requests",
            description="Both servers grow by tens of megabytes.",
            x="worker",
            y="resident memory (MB)",
            versions={"Django": version("django")},
            bars=memories(512),
        ),
    )
    record("when_to_use_little.md", little(waiting))

    most = at(waiting, 128)
    assert 7.5 < most["gunicorn, 1 thread"] <= 10.5, "close to the limit of 10"
    assert 120 < most["gunicorn, 16 threads"] <= 165, "close to the limit of 160"
    assert max(most["gunicorn, 128 threads"], most[UVICORN_ONE]) < 0.8 * 1280, "far from it"
    assert most["gunicorn, 128 threads"] > 2 * most["gunicorn, 16 threads"]
    assert most["gunicorn, 128 threads"] > 1.3 * most[UVICORN_ONE]
    assert most[UVICORN_ONE] > 5 * most["gunicorn, 1 thread"]
    for recorded in (database, computing):  # over all points: one of them may have met other work on the machine
        answers = {name: sum(rate for _, rate in points) for name, points in recorded.lines.items()}
        few, many = answers["gunicorn, 16 threads"], answers["gunicorn, 128 threads"]
        assert min(few, many) > 1.3 * answers[UVICORN_ONE], "Uvicorn gives fewer"
        assert 1 / 1.3 < few / many < 1.3, "about the same"
        assert all(dict(points)[128] < 1.3 * dict(points)[16] for points in recorded.lines.values()), "no more answers"
    assert tail.bars[UVICORN_ONE] > 1.3 * tail.bars["gunicorn, 16 threads"]
    assert 3 * together.bars["Uvicorn, alone"] < together.bars["Uvicorn, beside computing"]
    assert together.bars["gunicorn, 16 threads, beside computing"] < together.bars["Uvicorn, beside computing"] / 2
    for name in ("gunicorn, 512 threads", UVICORN_ONE):
        assert 5 < memory.bars[f"{name}, 512 waiting"] - memory.bars[f"{name}, idle"] < 100, "below 0.2 MB for each"


def little(waiting: Measurement) -> str:
    """Return what Little's law says beside what was measured at 128 connections, as a Markdown table."""
    rows = ["| Server | places | places / 0.1 s | measured |", "| --- | ---: | ---: | ---: |"]
    for name, rate in at(waiting, 128).items():
        many = places(name, 128)
        rows.append(f"| {name} | {many} | {many / 0.1:,.0f} | {rate:,.0f} |")
    return "\n".join(rows)


def times(url: str, requests: int) -> list[float]:
    """Return how many milliseconds requests over one open connection take, the shortest first."""
    seen = []
    with closing(HTTPConnection(urlsplit(url).netloc)) as client:
        for _ in range(requests):
            start = time.perf_counter()
            client.request("GET", "/async/computing/?rounds=1")
            client.getresponse().read()
            seen.append(1000 * (time.perf_counter() - start))
    return sorted(seen)


@pytest.mark.databases("postgresql")
@TOGETHER
def test_uvicorn_with_workers_delays_each_answer() -> None:
    with Config("lab.asgi:application", port=0).bind_socket() as listener:
        assert listener.proto == 0, "asyncio sets TCP_NODELAY only for IPPROTO_TCP; or the page tells of a mended bug"
    with (
        serve(*UVICORN, urls=ROUTES, UPSTREAM_URL="") as one,
        serve(*UVICORN, "--workers", "2", urls=ROUTES, UPSTREAM_URL="") as two,
    ):
        assert 3 * times(one, 30)[0] < 38 < times(two, 30)[15], "the median waits for the acknowledgment"
