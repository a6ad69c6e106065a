"""Serve the lab from the test's PostgreSQL with a real server, and put it under load."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from scripts.services import free_port
from tests import databases
from tests.lab.production import PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Iterator

GUNICORN = ("gunicorn", "lab.wsgi", "--log-level", "error", "--keep-alive", "60", "--bind", "127.0.0.1:{port}")
UVICORN = ("uvicorn", "lab.asgi:application", "--log-level", "error", "--no-access-log", "--port", "{port}")
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}  # of wrk, in milliseconds


@contextmanager
def serve(*command: str, urls: str = "lab.urls", **variables: str) -> Iterator[str]:
    """Run a server on this test's PostgreSQL, with the settings in tests/lab/served.py.

    The test commits what it writes (``django_db(transaction=True)``): the server has connections of its own.

    Args:
        command: A Python module and its arguments, such as ``*GUNICORN, "--workers", "2"``.
        urls: The module with the URL patterns.
        variables: What else the server finds in its environment, such as SERVED_POOL="5".

    Yields:
        Its URL, when it accepts connections.

    Raises:
        AssertionError: It ended, or accepted no connection within 30 seconds.
    """
    port = free_port()
    environ = {
        **os.environ,
        **PRODUCTION,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": databases.address(),
        "DJANGO_SETTINGS_MODULE": "tests.lab.served",
        "SERVED_URLS": urls,
        **variables,
    }
    arguments = [part.format(port=port) for part in command]
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environ)
    try:
        wait(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when a server accepts connections."""
    for _ in range(300):
        assert process.poll() is None, f"the server ended with status {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server accepted no connection within 30 seconds")


@dataclass(frozen=True)
class Load:
    """What a load generator saw: requests a second, times in milliseconds, and answers that were not 2xx or 3xx."""

    throughput: float
    median: float
    p99: float
    failed: int


def load(url: str, connections: int, seconds: int) -> Load:
    """Ask for a URL over open connections, the next request as soon as an answer is there, and count.

    Without wrk the test is skipped.

    wrk is a closed loop: a server that stalls is asked less, so the times of a server that
    cannot keep up are flattered. Its own processor time is taken from the same machine.

    Args:
        url: What to ask for, with GET.
        connections: How many requests are under way at any time.
        seconds: For how long.
    """
    wrk = shutil.which("wrk")
    if not wrk:
        pytest.skip("There is no wrk to make load with: apt-get install wrk")
    options = ["--latency", "--threads=1", "--timeout=30s", f"--connections={connections}", f"--duration={seconds}s"]
    text = subprocess.run([wrk, *options, url], check=True, capture_output=True, text=True).stdout

    def taken(percent: str) -> float:
        number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", text).groups()  # type: ignore[union-attr]
        return float(number) * UNITS[unit]

    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    assert rate, text
    return Load(
        throughput=float(rate[1]),
        median=taken("50"),
        p99=taken("99"),
        failed=int(failed[1] if failed else 0) + sum(map(int, broken.groups() if broken else ())),
    )
