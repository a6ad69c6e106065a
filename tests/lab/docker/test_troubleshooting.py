"""Containers that fail, and what tells why."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.lab.docker.conftest import container, docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.recording.files import Recorder

IMAGE = "python:3.13-slim-trixie"
STATE = "{{.State.ExitCode}} {{.State.OOMKilled}}"
SLEEP = ("--", "python", "-c", "import time; time.sleep(600)")
NAMES = ("nexus-look", "nexus-loop", "nexus-full", "nexus-ill", "nexus-busy")
TOO_MUCH = "b'x' * 500_000_000"


def ended(*words: str) -> str:
    """Run a container to its end; return its exit status, and whether memory ran out."""
    with container(*words, image=IMAGE) as name:
        docker("wait", name)
        return docker("inspect", "--format", STATE, name).strip()


def after(what: str, *words: str) -> str:
    """Start a container that sleeps, do something to it, and return how it ended."""
    with container(*words, *SLEEP, image=IMAGE) as name:
        docker(what, name)
        docker("wait", name)
        return docker("inspect", "--format", STATE, name).strip()


@pytest.mark.services
def test_exit_statuses(engine: None, record: Recorder) -> None:
    def run(*words: str) -> str:
        return str(subprocess.run(["docker", "run", "--rm", *words], capture_output=True, check=False).returncode)

    segfault = "import ctypes; ctypes.string_at(0)"
    rows = [
        (run(IMAGE, "true"), "The program came to its end", "`true`"),
        (run(IMAGE, "python", "-c", "1 / 0"), "The program's own failure", "an exception in Python"),
        (run("--no-such-option", IMAGE), "Docker could not start it", "an option that does not exist"),
        (run(IMAGE, "/etc/passwd"), "The command is not executable", "`/etc/passwd` as command"),
        (run(IMAGE, "gunicron"), "There is no such command", "a typing error"),
        (after("kill"), "SIGKILL (128 + 9): somebody, or the kernel", "`docker kill`"),
        (ended("--", "python", "-c", segfault), "SIGSEGV (128 + 11): a crash in C code", "reading address 0"),
        (after("stop", "--init"), "SIGTERM (128 + 15): asked to stop", "`docker stop` with `--init`"),
    ]
    numbers = [row[0].split()[0] for row in rows]
    assert numbers == ["0", "1", "125", "126", "127", "137", "139", "143"]
    lines = [f"| {number} | {what} | {how} |" for number, (_, what, how) in zip(numbers, rows, strict=True)]
    head = ["| Status | What it means | Made here by |", "| --- | --- | --- |"]
    record("troubleshooting_statuses.md", "\n".join([*head, *lines]))


@pytest.mark.services
def test_memory_that_ran_out(engine: None, record: Recorder) -> None:
    rows = [
        ("500 MB with `--memory 64m`", ended("--memory", "64m", "--", "python", "-c", TOO_MUCH)),
        ("`docker kill`", after("kill")),
    ]
    assert [state for _, state in rows] == ["137 true", "137 false"]
    lines = [f"| {what} | {' | '.join(f'`{part}`' for part in state.split())} |" for what, state in rows]
    head = ["| What happened | `.State.ExitCode` | `.State.OOMKilled` |", "| --- | --- | --- |"]
    record("troubleshooting_memory.md", "\n".join([*head, *lines]))


def clean(printed: str) -> str:
    """Return a session without the sizes of this machine."""
    printed = re.sub(r"(?m)^(nexus-busy: )\S+", r"\1…", printed)
    return re.sub(r"(?m)^([A-Z][A-Za-z ]+: )\S+, [\d.]+[kMGT]?B( \(\d+%\))? unused$", r"\1…, … unused", printed)


@pytest.fixture
def play(tmp_path: Path, docker_shell: Callable[..., None], record: Recorder) -> Iterator[Callable[[str], str]]:
    """``play("look.console")`` runs a recorded session and returns it; its containers go when the test ends."""

    def gone() -> None:
        docker("rm", "--force", "--volumes", *NAMES, check=False)

    def run(name: str) -> str:
        shutil.rmtree(tmp_path / ".tools", ignore_errors=True)
        docker_shell(name, clean=clean)
        return record.path(name).read_text(encoding="utf-8")

    gone()
    yield run
    gone()


@pytest.mark.services
def test_what_to_ask_first(image: str, play: Callable[[str], str]) -> None:
    looked = play("troubleshooting_look.console")
    assert "\n1\n" in looked
    assert "exited 1" in looked
    assert looked.endswith("SECRET_KEY is not set. Set it, or DEBUG=true on your own machine.\n")
    inside = play("troubleshooting_inside.console")
    assert "10001\n/app\nlab/manage.py\n" in inside
    assert inside.endswith('"""The lab as a WSGI application: ``gunicorn lab.wsgi``."""\n')


@pytest.mark.services
def test_a_loop_of_crashes(image: str, play: Callable[[str], str]) -> None:
    looped = play("troubleshooting_loop.console")
    assert "3 restarts, status 1" in looped
    assert looped.count("SECRET_KEY is not set.") == 4


@pytest.mark.services
def test_the_engine_tells_what_happened(image: str, play: Callable[[str], str]) -> None:
    events = play("troubleshooting_events.console")
    assert "exit status 137\n" in events
    assert events.endswith("\ndie\noom\n")
    health = play("troubleshooting_health.console")
    assert health.endswith("ConnectionRefusedError: [Errno 111] Connection refused\n")
    assert play("troubleshooting_stats.console").endswith("\nnexus-busy: … / 64MiB\n")
    assert play("troubleshooting_disk.console").count(": …, … unused\n") == 4


@pytest.mark.services
def test_a_first_line_from_windows(image: str, engine: None) -> None:
    script = r"printf '#!/bin/sh\r\necho hello\r\n' > /tmp/start.sh; chmod +x /tmp/start.sh; exec /tmp/start.sh"
    said = docker("run", "--rm", image, "sh", "-c", script, check=False)
    assert said.endswith("/start.sh: not found\n")


def test_gunicorn_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    words = ["gunicorn", "--bind", f"unix:{tmp_path}/socket", "--workers", "1", "lab.docker.signals"]
    with subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr

        def said(pattern: str) -> str:
            """Read the log up to a line that matches."""
            return next(found[1] for line in process.stderr or () if (found := re.search(pattern, line)))

        try:
            worker = said(r"Booting worker with pid: (\d+)")
            os.kill(int(worker), signal.SIGKILL)
            assert said(r"Worker \(pid:(\d+)\) was sent SIGKILL! Perhaps out of memory\?") == worker
            assert said(r"Booting worker with pid: (\d+)") != worker
        finally:
            process.terminate()
