"""One handler that keeps the loop lets all others wait; what finds it, and what mends it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
from django.core.handlers.asgi import ASGIHandler

from lab.asynchronous import event_loop
from lab.asynchronous.event_loop import compute, cram, follow, study, together, watch, watched
from lab.asynchronous.upstream import ask as fetch
from lab.asynchronous.upstream import running
from scripts.pages import ROOT
from tests.lab.asynchronous.asgi import ask
from tests.lab.asyncio_log import shortened
from tests.lab.marks import recorded_on_5_2
from tests.lab.serving import UVICORN, serve
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

SAMPLES = "lab/asynchronous/event_loop_samples.py"
WRONG = pytest.mark.wrong("lab/asynchronous/event_loop_samples.py:wrong_views")
TOGETHER = pytest.mark.django_db(transaction=True)
pytestmark = pytest.mark.urls("lab.asynchronous.event_loop_samples")

# What keeps the loop, what gives it back, and how the chart calls it.
KEEP = {"pause": "time.sleep", "report": "HTTP with a blocking client", "rank": "computing"}
MEND = {
    "client": "HTTP with an async client",
    "thread": "HTTP with a blocking client, in a thread",
    "rank-thread": "computing in a thread",
    "rank-process": "computing in another process",
}


def test_a_turn_ends_at_an_await_that_waits(session: Callable[..., None]) -> None:
    session("event_loop_turns.pycon", asyncio=asyncio, study=study, cram=cram, together=together)


async def longest_turn(path: str) -> float:
    """Return for how many milliseconds the loop gave nobody else a turn, at most, during a request."""
    slow, longest = asyncio.create_task(ask(path)), 0.0
    while not slow.done():
        start = time.perf_counter()
        await asyncio.sleep(0.002)
        longest = max(longest, 1000 * (time.perf_counter() - start))
    await slow
    return longest


@WRONG
@pytest.mark.parametrize("path", [*KEEP, *MEND])
def test_who_keeps_the_loop_and_who_gives_it_back(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    with running() as upstream:
        monkeypatch.setenv("UPSTREAM_URL", upstream.url)
        longest = asyncio.run(longest_turn(f"/{path}/?ms=400"))
    if path == "rank-process":
        event_loop.processes().shutdown()
        event_loop.processes.cache_clear()
    assert (longest >= 400) is (path in KEEP)


def test_the_health_check() -> None:
    assert asyncio.run(ask("/health/")) == b'{"status": "ok"}'


def test_computing_computes() -> None:
    before = time.thread_time()
    assert compute(20) > 0
    assert time.thread_time() - before >= 0.02


# Finding it


async def grade() -> None:
    """Hold the loop for longer than debug mode takes without a word."""
    time.sleep(0.12)


async def grading() -> None:
    """Start a task with a name."""
    await asyncio.create_task(grade(), name="grade")


@recorded_on_5_2("the task that serves a request is another one")
@WRONG
def test_debug_mode_logs_long_steps(logged: list[str], record: Recorder) -> None:
    asyncio.run(grading(), debug=True)
    asyncio.run(ask("/pause/?ms=120"), debug=True)
    assert len(logged) == 2
    record("event_loop_debug.txt", "\n\n".join(map(shortened, logged)))


@WRONG
def test_debug_mode_does_not_name_the_view(logged: list[str]) -> None:
    asyncio.run(ask("/pause/?ms=120"))
    assert logged == [], "without debug mode"
    asyncio.run(ask("/pause/?ms=120"), debug=True)
    assert len(logged) == 1
    assert "pause" not in logged[0]


@WRONG
@pytest.mark.databases("postgresql")
@TOGETHER
def test_uvicorn_on_python_3_11_ignores_the_variable(tmp_path: Path) -> None:
    log = tmp_path / "asyncio.log"
    handler = {"class": "logging.FileHandler", "filename": str(log)}
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"file": handler},
        "loggers": {"asyncio": {"handlers": ["file"]}},
    }
    (tmp_path / "log.json").write_text(json.dumps(config), encoding="utf-8")
    with serve(
        *UVICORN,
        *("--log-config", str(tmp_path / "log.json")),
        urls="lab.asynchronous.event_loop_samples",
        PYTHONASYNCIODEBUG="1",
    ) as url:
        fetch(f"{url}/pause/?ms=150")
    assert ("took 0." in log.read_text(encoding="utf-8")) is (sys.version_info >= (3, 12))


@WRONG
def test_ruff_finds_what_it_knows_by_name(shell: Callable[..., None], tmp_path: Path) -> None:
    shutil.copy(ROOT / SAMPLES, tmp_path)
    shell("event_loop_ruff.console")


def ruff(*arguments: str) -> str:
    """Return what ruff finds without the settings of this project."""
    command = [str(Path(sys.executable).parent / "ruff"), "check", "--isolated", "--output-format", "concise"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False).stdout


def test_ruff_has_the_rules_in_its_default_selection() -> None:
    assert {"ASYNC210", "ASYNC251"} <= set(ruff(str(ROOT / SAMPLES)).split())


def test_ruff_does_not_look_into_functions(tmp_path: Path) -> None:
    text = (ROOT / SAMPLES).read_text(encoding="utf-8")
    hidden = text.replace("urllib.request.urlopen(", "opened(").replace("time.sleep(", "rest(")
    (tmp_path / "hidden.py").write_text(hidden, encoding="utf-8")
    assert ruff("--select", "ASYNC", str(tmp_path)).strip() == "All checks passed!"


@WRONG
def test_the_watch_names_the_line(caplog: pytest.LogCaptureFixture, record: Recorder) -> None:
    asyncio.run(ask("/pause/?ms=500", watched(ASGIHandler())))
    lines = [entry.getMessage() for entry in caplog.records if entry.name == "lab.loop"]
    line = next(line for line in lines if "in pause" in line)  # a busy machine may be slow before it, too
    record("event_loop_watch.txt", line.replace(f"{ROOT}/", ""))


def test_the_watch_ends_with_its_loop() -> None:
    loop = asyncio.new_event_loop()
    watching = threading.Thread(target=watch, args=(loop, threading.get_ident(), 0.01))
    watching.start()
    loop.close()
    watching.join(10)
    assert not watching.is_alive()


# Mending it


def test_few_calls_fit_into_the_threads_of_a_loop() -> None:
    """The pool of asyncio.to_thread is small, and names are looked up in it too."""
    places = min(32, (os.cpu_count() or 1) + 4)

    async def crowd(url: str) -> bool:
        loop = asyncio.get_running_loop()
        calls = [asyncio.create_task(asyncio.to_thread(fetch, url)) for _ in range(places + 3)]
        while len(upstream.seen) < places:
            await asyncio.sleep(0.01)
        lookup = asyncio.create_task(loop.getaddrinfo("localhost", 80))
        await asyncio.wait([lookup], timeout=0.2)
        waited = not lookup.done()
        upstream.release("grades")
        await asyncio.gather(*calls, lookup)
        return waited

    with running() as upstream:
        assert asyncio.run(crowd(f"{upstream.url}/held/grades")), "the lookup waits for a thread"
        assert upstream.most == places


@pytest.mark.databases("postgresql")
@TOGETHER
def test_the_worker_process_ends_with_its_server() -> None:
    with serve(*UVICORN, urls="lab.asynchronous.event_loop_samples") as url:
        fetch(f"{url}/rank-process/?ms=1")
        server = next(process for process in psutil.Process().children() if "uvicorn" in process.cmdline())
        workers = server.children(recursive=True)
        assert any("spawn_main" in " ".join(worker.cmdline()) for worker in workers)
    _, left = psutil.wait_procs(workers, timeout=10)
    assert not left


def test_a_worker_that_follows_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda _: ended.set())
    monkeypatch.setattr(event_loop, "parent_process", lambda: None)
    follow()
    assert not ended.wait(0.1), "this process has no parent to follow"
    gone = threading.Thread(target=lambda: None)
    gone.start()
    monkeypatch.setattr(event_loop, "parent_process", lambda: gone)
    follow()
    assert ended.wait(10)


# Measured


def slowest(url: str, path: str) -> float:
    """Return how many milliseconds the slowest health check took while another request was under way."""
    slow = threading.Thread(target=fetch, args=[f"{url}/{path}"])
    times = []
    with closing(HTTPConnection(urlsplit(url).netloc)) as connection:
        slow.start()
        while slow.is_alive():
            start = time.perf_counter()
            connection.request("GET", "/health/")
            connection.getresponse().read()
            times.append(1000 * (time.perf_counter() - start))
            time.sleep(0.005)
    slow.join()
    return max(times)


def measure(rounds: int, *paths: str) -> dict[str, float]:
    """Return the median over rounds of the slowest health check beside each handler; they take turns."""
    milliseconds = 300
    times: dict[str, list[float]] = {path: [] for path in paths}
    with (
        running() as upstream,
        serve(*UVICORN, urls="lab.asynchronous.event_loop_samples", UPSTREAM_URL=upstream.url) as url,
    ):
        if "rank-process" in paths:
            fetch(f"{url}/rank-process/?ms=1")  # starts the worker process
        for turn in range(-1 if rounds > 1 else 0, rounds):
            for path, seen in times.items():
                taken = slowest(url, f"{path}/?ms={milliseconds}")
                if turn >= 0:
                    seen.append(taken)
    return {path: round(median(seen), 1) for path, seen in times.items()}


@WRONG
@pytest.mark.measures("event_loop")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_health_check_beside_slow_handlers(
    measured: Callable[[str, Callable[[], Measurement]], Measurement],
) -> None:
    recorded = measured(
        "event_loop.json",
        lambda: Measurement(
            title="The slowest health check beside a slow handler",
            description="A handler that keeps the loop lets the check wait for as long as it takes; the others do not.",
            x="what ran beside it for 300 ms",
            y="slowest health check (ms)",
            versions={name: version(name.lower()) for name in ("Django", "Uvicorn")},
            bars={(KEEP | MEND)[path]: taken for path, taken in measure(10, *KEEP, *MEND).items()},
        ),
    )
    bars = recorded.bars
    for name in KEEP.values():
        assert bars[name] > 250
    for path, name in MEND.items():
        assert bars[name] < bars[KEEP["pause"]]
        if path != "rank-thread":
            assert 3 * bars[name] < bars[KEEP["pause"]]
    assert bars[MEND["rank-thread"]] > bars[MEND["rank-process"]], "both want the one lock"
    taken = measure(1, "report", "client")
    assert taken["client"] < 250 < taken["report"]
