"""A broker for the tests, and real workers: processes of their own, which a test may kill."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.celery import app
from scripts import services
from scripts.pages import ROOT
from tests import databases
from tests.lab.production import PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMIT = 30  # seconds until something that does not happen is a failure


def within(seconds: float, holds: Callable[[], object]) -> bool:
    """Wait until something is true; say whether it came true in time."""
    end = time.monotonic() + seconds
    while not (true := bool(holds())) and time.monotonic() < end:
        time.sleep(0.02)
    return true


@contextmanager
def use_broker(kind: str) -> Iterator[str]:
    """Let the lab's Celery app use a broker, and a queue of its own there.

    Args:
        kind: valkey or rabbitmq.

    Yields:
        The broker's URL.

    Raises:
        scripts.services.Unavailable: There is no such server here.
    """
    url = services.url(kind)
    if kind == "valkey":
        url = url.removesuffix("/0") + "/1"  # beside the cache, and out of its way
    before = {name: app.conf[name] for name in ("broker_url", "task_default_queue")}
    app.conf.update(broker_url=url, task_default_queue=f"nexus-{secrets.token_hex(4)}")
    forget_connections()
    yield url
    forget_connections()
    app.conf.update(before)


def forget_connections() -> None:
    """Let the app connect anew, to the broker that its configuration names by then."""
    app._pool = None  # as app.close() does, which also keeps tasks that are made later from the app
    app.amqp._producer_pool = None  # the pool outlives the app's other connections
    vars(app.amqp).pop("queues", None)


@dataclass
class Worker:
    """A running worker: its process, and what it has printed."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def printed(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def says(self, text: str, seconds: float = LIMIT) -> bool:
        """Wait until it has printed a text; say whether it came in time."""
        return within(seconds, lambda: text in self.printed)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process and its children, and wait for the end."""
        os.killpg(self.process.pid, number)
        self.process.wait(LIMIT)


@contextmanager
def work(
    module: str, *options: str, broker: str, folder: Path, concurrency: int = 1, **variables: str
) -> Iterator[Worker]:
    """Run a worker that takes tasks from the queue of ``use_broker``, on this test's PostgreSQL.

    The test commits what it writes (``django_db(transaction=True)``): the worker has connections of its own.

    Args:
        module: Where the tasks are, such as ``lab.message_queues.delivery``.
        options: For ``celery worker``, such as ``"--task-events"``.
        broker: The broker's URL.
        folder: Where the worker's output is collected.
        concurrency: How many processes take tasks.
        variables: What else it finds in its environment.
    """
    name = secrets.token_hex(4)
    command = [sys.executable, "-m", "celery", "--app", "lab", "worker", "--include", module]
    command += ["--queues", app.conf.task_default_queue, "--hostname", f"{name}@localhost", "--loglevel", "INFO"]
    command += ["--concurrency", str(concurrency)]
    command += ["--without-mingle", "--without-gossip"]  # it does not look for others, and so starts sooner
    environ = {
        **os.environ,
        **PRODUCTION,
        "BROKER_URL": broker,
        "DATABASE_URL": databases.address(),
        "DJANGO_SETTINGS_MODULE": "tests.lab.served",
        **variables,
    }
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Worker(process, log)
    try:
        assert within(LIMIT, lambda: " ready." in running.printed or process.poll() is not None)
        assert process.poll() is None, running.printed
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                running.kill()
