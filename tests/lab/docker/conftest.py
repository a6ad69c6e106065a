"""A real Docker Engine: the tests of the chapter use the one that answers, or are skipped with the reason."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.recording import shell as shells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.recording.files import Recorder


NO_FORWARDING = "IPv4 forwarding is disabled"  # an engine that lets no container out says so each time


def docker(*words: str, check: bool = True, cwd: Path = ROOT, **variables: str) -> str:
    """Run ``docker`` with these words; return what it printed, errors included.

    Args:
        words: The command line after ``docker``.
        check: Whether a status other than 0 fails the test, with what was printed.
        cwd: Where it runs.
        variables: Further environment variables.
    """
    if words[0] == "build":
        words = ("build", *network(), *words[1:])
    done = subprocess.run(
        ["docker", *words],
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert not check or done.returncode == 0, f"docker {' '.join(words)}\n{done.stdout}"
    return "".join(line for line in done.stdout.splitlines(keepends=True) if NO_FORWARDING not in line)


def network() -> list[str]:
    """Return the options that a build needs to reach the package index: an engine may have no network of its own."""
    names = subprocess.run(
        ["docker", "network", "ls", "--format", "{{.Name}}"], capture_output=True, text=True, check=True
    )
    return [] if "bridge" in names.stdout.split() else ["--network", "host"]


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker Engine with Compose answers; without one the test is skipped."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker command")
    for words in (["docker", "version"], ["docker", "compose", "version"]):
        asked = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        if asked.returncode:
            said = (asked.stderr or asked.stdout).strip().splitlines()
            pytest.skip(f"{' '.join(words)}: {said[-1] if said else 'no answer'}")


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    """The image of the lab, built from the repository's Dockerfile."""
    docker("build", "--quiet", "--tag", "nexus-lab", ".")
    return "nexus-lab"


@pytest.fixture
def project_name() -> str:
    """A name that no other project has."""
    return f"nexus-test-{secrets.token_hex(4)}"


@pytest.fixture
def project(engine: None, project_name: str) -> Iterator[Callable[..., str]]:
    """``project("up", "--wait", files=["compose.yaml"], cwd=…)`` runs ``docker compose`` in a project of this test.

    Its containers, networks and volumes go when the test ends.
    """

    def run(*words: str, files: Sequence[str] = (), cwd: Path = ROOT, check: bool = True, **variables: str) -> str:
        named = [word for file in files for word in ("--file", file)]
        return docker("compose", "--project-name", project_name, *named, *words, cwd=cwd, check=check, **variables)

    yield run
    # Without its files Compose finds what belongs to a project by labels.
    docker("compose", "--project-name", project_name, "down", "--volumes", "--timeout", "1", cwd=Path("/"), check=False)


@pytest.fixture
def name(project: Callable[..., str], project_name: str) -> str:
    """The name of the project of this test, for commands that are not Compose's; its containers go with the test."""
    return project_name


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the files of the page, in the folder where sessions run."""
    shutil.copytree(request.module.FOLDER, tmp_path, dirs_exist_ok=True)
    return tmp_path


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: It does not come to be in time.
    """
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "that did not happen"
        time.sleep(0.1)


@contextmanager
def container(*words: str, image: str) -> Iterator[str]:
    """Start a container in the background; yield its id, and remove it.

    Args:
        words: Options of ``docker run``; what follows ``--`` is the command in the container.
        image: The image.
    """
    split = words.index("--") if "--" in words else len(words)
    identity = docker("run", "--detach", *words[:split], image, *words[split + 1 :]).strip()
    try:
        yield identity
    finally:
        docker("rm", "--force", "--volumes", identity, check=False)


@pytest.fixture
def docker_shell(engine: None, record: Recorder, tmp_path: Path) -> Callable[..., None]:
    """``docker_shell("build.console", clean=…)`` runs a recorded shell session with the engine again, and compares it.

    ``clean`` takes what the session printed and returns it without what differs from run to run.
    """

    def rerun(name: str, clean: Callable[[str], str] = str, **variables: str) -> None:
        # Builds get the options that this engine needs; a reader types none.
        tools = tmp_path / ".tools"
        tools.mkdir(exist_ok=True)
        script = ["#!/bin/bash", f'[ "$1" = build ] && shift && set -- build {" ".join(network())} "$@"']
        # The note about forwarding goes, and everything else stays in order.
        run = f'{shutil.which("docker")} "$@" 2>&1 >&3 | grep -v "{NO_FORWARDING}" >&2; exit "${{PIPESTATUS[0]}}"'
        script.append(f"{{ {run}; }} 3>&1\n")
        (tools / "docker").write_text("\n".join(script))
        (tools / "docker").chmod(0o755)
        path = f"{tools}{os.pathsep}{shells.environment(tmp_path)['PATH']}"
        transcript = record.transcript(name, "$")
        record(name, clean(shells.rerun(transcript, tmp_path, {"PATH": path, **variables})))

    return rerun
