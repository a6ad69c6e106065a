"""One request waits for another service, and a health check comes meanwhile."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from lab.challenges.blocked_event_loop.broken import views as broken
from lab.challenges.blocked_event_loop.fixed import views as fixed
from lab.challenges.blocked_event_loop.fixed import views_sync
from scripts.pages import ROOT
from scripts.services import free_port
from tests.lab.asynchronous.asgi import ask
from tests.lab.asyncio_log import shortened
from tests.lab.marks import recorded_on_5_2
from tests.lab.production import PRODUCTION
from tests.lab.serving import wait
from tests.lab.workers import within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from pytest_django import Settings

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

LIMIT = 30  # seconds until something that does not happen is a failure
PATIENCE = 3  # seconds that the health check may take, of a process that has nothing else to do
WRONG = pytest.mark.wrong("lab/challenges/blocked_event_loop/broken/views.py:wrong_views")


class Registry:
    """Another service. It answers when it is told to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked, self.may_answer = threading.Event(), threading.Event()


@contextmanager
def running_registry() -> Iterator[Registry]:
    """Run the registry on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            service.asked.set()
            service.may_answer.wait(LIMIT)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[81, 64]")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = Registry(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield service
    finally:
        service.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The service that the report asks."""
    with running_registry() as service:
        monkeypatch.setenv("REGISTRY_URL", service.url)
        yield service


@contextmanager
def loop_in_a_thread(*, debug: bool = False) -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop as a server does, in a thread that this one can watch."""
    loop = asyncio.new_event_loop()
    loop.set_debug(debug)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(LIMIT)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def health_while_a_report_waits(views: ModuleType, settings: Settings, registry: Registry) -> bool:
    """Say whether the health check is answered before the registry is; the report has to come in the end."""
    settings.ROOT_URLCONF = views
    with loop_in_a_thread() as loop:
        try:
            report = asyncio.run_coroutine_threadsafe(ask("/report/"), loop)
            assert registry.asked.wait(LIMIT), "the report asks the registry"
            health = asyncio.run_coroutine_threadsafe(ask("/health/"), loop)
            try:
                answered = health.result(PATIENCE) == b'{"status": "ok"}'
            except TimeoutError:
                answered = False
            assert not report.done(), "the report waits for the registry"
        finally:
            registry.may_answer.set()
        assert report.result(LIMIT) == b'{"grades": [81, 64]}'
        assert health.result(LIMIT) == b'{"status": "ok"}'
    return answered


@pytest.mark.broken("blocked_event_loop.txt")
@WRONG
def test_the_health_check_is_answered(version: Version, settings: Settings, registry: Registry) -> None:
    answered = health_while_a_report_waits(version.module("views"), settings, registry)
    assert answered, "while one report waits for the registry, the health check gets no answer"


def test_a_synchronous_view_helps_as_well(settings: Settings, registry: Registry) -> None:
    assert health_while_a_report_waits(views_sync, settings, registry)


# The diagnosis


def stacks(dumps: str) -> list[list[str]]:
    """Return the stacks of threads that stand in the view and wait for bytes, each as its lines."""
    parts = re.split(r"^(?=(?:Current thread|Thread) 0x)", dumps, flags=re.MULTILINE)
    return [part.splitlines() for part in parts if " in report\n" in part and " in readinto\n" in part]


def shown(stack: list[str]) -> str:
    """Return a stack with the frames of our own; what lies in libraries is cut, as are their lines and paths."""
    head = re.sub(r"0x\S+( \[.*\])?", "0x…", stack[0])  # from Python 3.14 on with the thread's name
    top = re.sub(r'File ".*/([\w.]+)", line \d+', r'File "…/\1", line …', stack[1])
    mine = [line.replace(f"{ROOT}/", "") for line in stack if "/lab/challenges/" in line]
    below = "\n".join(stack[stack.index(mine[-1].replace("lab/", f"{ROOT}/lab/", 1)) :])
    assert all(f"/{library}/" in below for library in ("django", "asyncio", "uvicorn")), "the loop's own thread"
    between = "  … the library's frames between …"
    return "\n".join([head, top, between, *mine, "  … Django's, asyncio's and Uvicorn's frames …"])


@contextmanager
def uvicorn(views: str, log: Path, registry: Registry) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve views by the challenge's asgi.py, with Uvicorn in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "lab.challenges.blocked_event_loop.asgi:application"]
    environ = {
        **os.environ,
        **PRODUCTION,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "tests.lab.served",
        "SERVED_URLS": views,
        "REGISTRY_URL": registry.url,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--log-level", "error"], cwd=ROOT, env=environ, stderr=output
        )
    try:
        wait(port, process)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        registry.may_answer.set()
        process.terminate()
        process.wait(LIMIT)


@WRONG
def test_a_signal_shows_where_the_process_stands(tmp_path: Path, registry: Registry, record: Recorder) -> None:
    log = tmp_path / "uvicorn.log"
    with uvicorn(broken.__name__, log, registry) as (process, url):

        def in_select() -> bool:
            process.send_signal(signal.SIGUSR1)
            return " in select\n" in log.read_text(encoding="utf-8")

        assert within(LIMIT, in_select), "a loop that has nothing to do"
        visitor = threading.Thread(target=urllib.request.urlopen, args=(f"{url}/report/",))
        visitor.start()
        assert registry.asked.wait(LIMIT)

        def in_the_view() -> list[list[str]]:
            process.send_signal(signal.SIGUSR1)
            return stacks(log.read_text(encoding="utf-8"))

        assert within(LIMIT, in_the_view), "the process waits for the registry's bytes"
        registry.may_answer.set()
        visitor.join(LIMIT)
        assert process.poll() is None, "the process goes on"
    dump = shown(stacks(log.read_text(encoding="utf-8"))[0])
    assert re.search(r"in grades\n.* in report\n", dump)
    record("blocked_event_loop_dump.txt", dump)


def test_the_signal_ends_a_process_that_does_not_expect_it() -> None:
    process = subprocess.Popen(["sleep", "30"])
    process.send_signal(signal.SIGUSR1)
    assert process.wait(LIMIT) == -signal.SIGUSR1


def test_the_application_listens_for_the_signal() -> None:
    from lab.challenges.blocked_event_loop import asgi

    assert callable(asgi.application)
    registered: object = faulthandler.unregister(signal.SIGUSR1)  # type: ignore[func-returns-value]  # it returns bool
    assert registered is True


def test_gunicorn_takes_one_signal_and_leaves_another(tmp_path: Path) -> None:
    worker = import_module("gunicorn.workers.base").Worker
    master = import_module("gunicorn.arbiter").Arbiter
    assert signal.SIGUSR1 in worker.SIGNALS
    assert signal.SIGRTMIN not in {*worker.SIGNALS, *master.SIGNALS}
    with (tmp_path / "stacks.txt").open("w+") as stacks:
        faulthandler.register(signal.SIGRTMIN, file=stacks)
        signal.raise_signal(signal.SIGRTMIN)
        faulthandler.unregister(signal.SIGRTMIN)
        stacks.seek(0)
        assert " in test_gunicorn_takes_one_signal_and_leaves_another\n" in stacks.read()


@recorded_on_5_2("the task that serves a request is another one")
@WRONG
@pytest.mark.parametrize(("module", "warns"), [(broken, True), (fixed, False)], ids=["broken", "fixed"])
def test_debug_mode_says_that_something_blocked(
    settings: Settings, registry: Registry, logged: list[str], record: Recorder, module: ModuleType, warns: bool
) -> None:
    settings.ROOT_URLCONF = module
    with loop_in_a_thread(debug=True) as loop:
        loop.slow_callback_duration = 1
        report = asyncio.run_coroutine_threadsafe(ask("/report/"), loop)
        assert registry.asked.wait(LIMIT)
        threading.Event().wait(1.2)  # longer than debug mode lets pass
        registry.may_answer.set()
        report.result(LIMIT)
    assert bool(logged) is warns
    if warns:
        record("blocked_event_loop_debug.txt", "\n".join(map(shortened, logged)))


def ruff(*arguments: str) -> str:
    """Return what ruff finds without the settings of this project."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--output-format", "concise", "--select", "ASYNC"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False).stdout


@WRONG
def test_ruff_does_not_look_into_the_function(tmp_path: Path) -> None:
    assert ruff(str(broken.__file__)).strip() == "All checks passed!"
    (tmp_path / "views.py").write_text("from urllib.request import urlopen\n\n\nasync def f():\n    urlopen('x')\n")
    assert "ASYNC210" in ruff(str(tmp_path / "views.py"))
