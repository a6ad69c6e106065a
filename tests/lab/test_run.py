"""``make lab`` runs the lab: on a SQLite file, and on the servers that the environment names."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches

from lab import environment
from scripts import services
from scripts.pages import ROOT
from tests.recording.exchange import exchange

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings


PATIENCE = 100  # seconds, on a machine that does a lot else


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mariadb"])
def test_make_lab(name: str, tmp_path: Path) -> None:
    port = services.free_port()
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "DJANGO_"))}
    try:
        url = f"sqlite:///{tmp_path}/academy.sqlite3" if name == "sqlite" else services.url(name)
        variables |= {"DATABASE_URL": url, "CACHE_URL": services.url("valkey")}
    except services.Unavailable as reason:
        pytest.skip(str(reason))
    lab = subprocess.Popen(
        ["make", "lab", f"PORT={port}"],
        cwd=ROOT,
        env=variables,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if lab.poll() is not None:
                break
            try:
                page = exchange(f"http://127.0.0.1:{port}", "GET", "/courses/databases/")
            except OSError:
                time.sleep(0.1)
                continue
            assert page.status == 200
            assert "Databases, part 1" in page.body
            break
        else:
            pytest.fail(f"the lab did not answer within {PATIENCE} seconds")
    finally:
        with suppress(ProcessLookupError):  # it has stopped by itself; the output says why
            os.killpg(lab.pid, signal.SIGTERM)  # not SIGINT: who starts the tests in the background ignores it
        output, _ = lab.communicate(timeout=PATIENCE)
    # A server that was given from outside may hold an academy already.
    assert name != "sqlite" or "20 courses, 200 learners, 600 enrollments" in output


@pytest.mark.services
def test_the_cache_on_valkey(settings: Settings) -> None:
    try:
        settings.CACHES = {"default": environment.cache(services.url("valkey"))}
    except services.Unavailable as reason:
        pytest.skip(str(reason))
    with closing(caches["default"]) as cache:
        cache.set("course", {"seats": 30}, timeout=5)
        assert cache.get("course") == {"seats": 30}
