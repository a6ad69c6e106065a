"""Tasks that are tried again: those that should be, those that should not, and when."""

from __future__ import annotations

import inspect
import json
import os
import random
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from unittest.mock import Mock
from urllib.error import HTTPError

import pytest
from celery.app import autoretry
from celery.app.task import Task
from celery.exceptions import Ignore
from celery.utils.time import get_exponential_backoff_interval
from redis import Redis

from lab.celery import app
from lab.message_queues import printer as printing
from lab.message_queues import retries
from lab.message_queues.printer import TryAgain, order
from lab.message_queues.retries import draw_certificate, print_certificate, wrong_draw_certificate, wrong_print
from scripts.services import free_port
from tests.lab.message_queues.brokers import settings
from tests.lab.workers import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery.result import AsyncResult

    from lab.asynchronous.upstream import Upstream
    from tests.lab.message_queues.brokers import Starts
    from tests.recording.files import Recorder

SERVER = pytest.mark.databases("postgresql")
MODULE = "lab.message_queues.retries"


class Shop:
    """A print shop that is not always well: what it answers, and what it was asked for.

    A certificate whose number begins with "busy" is refused twice, "wrong" always, for it does not exist.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.url = ""

    def code(self, number: str) -> int:
        """Note a request, and return the status of its answer."""
        self.seen.append(number)
        if number.startswith("wrong"):
            return 404
        return 503 if number.startswith("busy") and self.seen.count(number) < 3 else 200


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A print shop that runs during a test."""
    it = Shop()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(it.code(self.path.rsplit("/", 1)[1]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        it.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("PRINTER_URL", it.url)
        yield it
        server.shutdown()
        thread.join()


@pytest.mark.wrong("lab/message_queues/retries.py:wrong_print")
@pytest.mark.wrong("lab/message_queues/retries.py:wrong_draw")
@pytest.mark.services
@SERVER
def test_who_is_tried_again(broker: str, worker: Starts, shop: Shop, record: Recorder) -> None:
    options = {"CELERY_WORKER_LOST_WAIT": 0.1, "CELERY_RESULT_BACKEND": broker, "CELERY_TASK_IGNORE_RESULT": False}
    with (
        Redis.from_url(broker) as server,
        worker(MODULE, concurrency=4, **settings(broker, options), PRINTER_URL=shop.url) as running,
    ):

        def failed(task: AsyncResult[None]) -> bool:
            stored = server.get(f"celery-task-meta-{task.id}")
            return stored is not None and json.loads(stored)["status"] == "FAILURE"

        print_certificate.delay("busy-1")
        impossible = print_certificate.delay("wrong-1")
        wrong_print.delay("wrong-2")
        drawn = draw_certificate.delay("drawn-1")
        wrong_draw_certificate.delay("drawn-2")
        assert within(30, lambda: shop.seen.count("wrong-2") >= 4), "it will never be there, and is asked for again"
        assert within(30, lambda: shop.seen.count("busy-1") == 3)
        assert running.says("succeeded")
        assert within(30, lambda: failed(drawn)), "after the last retry"
        assert shop.seen.count("drawn-1") == 3, "once, and two retries"
        assert within(30, lambda: shop.seen.count("drawn-2") >= 5), "and no end"
        assert within(30, lambda: failed(impossible))
        assert shop.seen.count("wrong-1") == 1, "a 404 is an answer"
        running.kill()
    cases = {
        "503 twice, then 200": ("print_certificate", "busy-1"),
        "404": ("print_certificate", "wrong-1"),
        "404, again": ("wrong_print", "wrong-2"),
        "200, then the process is killed": ("draw_certificate", "drawn-1"),
        "200, then it is killed, again": ("wrong_draw_certificate", "drawn-2"),
    }
    rows = ["| What the print shop answers | Task | Times that it was asked |", "| --- | --- | --- |"]
    for what, (task, number) in cases.items():
        times = shop.seen.count(number)
        rows.append(f"| {what.removesuffix(', again')} | `{task}` | {times if times <= 3 else 'without end'} |")
    record("retries_tries.md", "\n".join(rows))


def test_what_deserves_another_try(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TryAgain, match="says 503"):
        order("busy-1")
    with pytest.raises(HTTPError, match="404"):
        order("wrong-1")
    with pytest.raises(HTTPError, match="404") as caught:
        wrong_print("wrong-1")
    caught.value.close()
    print_certificate("printed-1")
    monkeypatch.setenv("PRINTER_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TryAgain, match="does not answer"):
        order("nobody-there")


def test_silence_ends_at_the_timeout(printer: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRINTER_URL", printer.url)
    monkeypatch.setattr(printing, "TIMEOUT", 0.05)
    with pytest.raises(TryAgain, match="does not answer"):
        order("held")
    assert printer.seen == ["held"]
    printer.release("held")


def test_the_process_is_killed_with_the_certificate(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    kill = Mock()
    monkeypatch.setattr(os, "kill", kill)
    draw_certificate("drawn-1")
    wrong_draw_certificate("drawn-2")
    assert [call.args for call in kill.call_args_list] == [(os.getpid(), signal.SIGKILL)] * 2
    assert shop.seen == ["drawn-1", "drawn-2"]


def countdowns(task: Task, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return for how long a task that fails waits before each of its retries."""
    asked: list[int] = []

    def retry(exc: Exception, **options: int) -> None:
        asked.append(options["countdown"])
        raise Ignore

    with monkeypatch.context() as patched:
        patched.setattr(task._get_current_object(), "retry", retry)
        for number in range(task.max_retries):
            task.apply(["1"], retries=number)
    return asked


def test_the_delays(monkeypatch: pytest.MonkeyPatch, record: Recorder) -> None:
    def busy(number: str) -> None:
        raise TryAgain(number)

    monkeypatch.setattr(retries, "order", busy)
    runs = [countdowns(print_certificate, monkeypatch) for _ in range(25)]
    monkeypatch.setattr("random.randrange", lambda most: most - 1)  # the longest that chance allows
    longest = countdowns(print_certificate, monkeypatch)
    assert longest == [2**number for number in range(8)]
    for number, most in enumerate(longest):
        seen = {run[number] for run in runs}
        assert min(seen) >= 0
        assert max(seen) <= most
        assert len(seen) > 1, "jitter"
    rows = ["| Retry | Longest wait, in seconds | Since the first failure, at most |", "| ---: | ---: | ---: |"]
    rows += [f"| {number + 1} | {most} | {sum(longest[: number + 1])} |" for number, most in enumerate(longest)]
    record("retries_delays.md", "\n".join(rows))


def test_the_defaults() -> None:
    assert (Task.max_retries, Task.default_retry_delay) == (3, 180)
    task = app.Task()
    assert not hasattr(task, "retry_backoff")
    source = inspect.getsource(autoretry)
    for default in ("'retry_backoff', False", "'retry_backoff_max', 600", "'retry_jitter', True"):
        assert default in source


def storm(delay: Callable[[int], int], tasks: int = 1000, outage: int = 60) -> Counter[int]:
    """Return how often a service is asked in each second, when tasks fail at once and it is back after a minute."""
    calls: Counter[int] = Counter()
    for _ in range(tasks):
        second = tried = 0
        while second < outage:
            calls[second] += 1
            second += delay(tried)
            tried += 1
        calls[second] += 1
    return calls


def test_a_storm(record: Recorder) -> None:
    random.seed(2026)  # of the standard library, which Celery asks for its jitter
    ways: dict[str, Callable[[int], int]] = {
        "every 5 seconds": lambda _: 5,
        "`retry_backoff`, no jitter": lambda tried: get_exponential_backoff_interval(1, tried, 600),
        "`retry_backoff` and `retry_jitter`": lambda tried: get_exponential_backoff_interval(1, tried, 600, True),
    }
    rows = [
        "| Wait between tries | Calls in vain | Most calls in one second after the outage |",
        "| --- | ---: | ---: |",
    ]
    most = {}
    for way, delay in ways.items():
        calls = storm(delay)
        vain = sum(count for second, count in calls.items() if second < 60)
        most[way] = vain, max(count for second, count in calls.items() if second >= 60)
        rows.append(f"| {way} | {most[way][0]:,} | {most[way][1]:,} |")
    fixed, backoff, jitter = most.values()
    assert fixed[1] == backoff[1] == 1000 > 10 * jitter[1]
    assert fixed[0] > backoff[0]
    record("retries_storm.md", "\n".join(rows))


def test_two_layers_of_retries_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def three_times(number: str) -> None:
        """Ask as a client library that tries three times."""
        asked.extend([number] * 3)
        raise TryAgain

    monkeypatch.setattr(retries, "order", three_times)
    assert print_certificate.apply(["1"]).state == "FAILURE"
    assert len(asked) == 3 * (1 + print_certificate.max_retries) == 27
