"""One command starts the lab; who waits for whom, and what a second ``up`` changes."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from lab.docker.compose.web import connect
from scripts import services
from scripts.pages import ROOT
from tests.lab.docker.conftest import docker
from tests.linters import assert_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

    Project = Callable[..., str]
    Shell = Callable[..., None]

FOLDER = ROOT / "lab" / "docker" / "compose"
BIN = Path(sys.executable).parent
RIGHT = FOLDER / "compose.yaml"
FILES = ("compose.yaml", "wrong-race.yaml", "wrong-impatient.yaml", "patient.yaml", "version.yaml")


@pytest.fixture
def compose(name: str, docker_shell: Shell, tmp_path: Path) -> Callable[..., None]:
    """``compose("x.console")`` runs a recorded session in a project of this test, without Compose's progress."""

    def rerun(file: str, shown: str = "academy", **variables: str) -> None:
        shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)

        def clean(said: str) -> str:
            return re.sub(r" +$", "", said.replace(name, shown), flags=re.MULTILINE)

        given = {"COMPOSE_PROJECT_NAME": name, "COMPOSE_PROGRESS": "quiet", **variables}
        docker_shell(file, clean, **given)

    return rerun


@pytest.mark.services
def test_the_life_of_the_lab(image: str, compose: Callable[..., None], record: Recorder) -> None:
    files = ":".join(str(ROOT / file) for file in ("compose.yaml", "compose.override.yaml"))
    compose("compose_lab.console", "nexus", COMPOSE_FILE=files, PORT=str(services.free_port()))
    said = record.path("compose_lab.console").read_text()
    assert "migrate: exited\n" in said
    assert said.count(" running healthy\n") == 5
    assert said.endswith("\n0\n$ docker compose volumes --quiet | sort\nnexus_broker\nnexus_database\n")


@pytest.mark.services
@pytest.mark.wrong("lab/docker/compose/wrong-race.yaml:wrong_race")
def test_web_loses_the_race(compose: Callable[..., None], record: Recorder) -> None:
    compose("compose_race.console")
    said = record.path("compose_race.console").read_text()
    assert "web-1 exited (1)\nstatus 1\n" in said
    assert said.endswith("ConnectionRefusedError: [Errno 111] Connection refused\n")


@pytest.mark.services
def test_web_waits_for_a_healthy_database_and_a_migration(compose: Callable[..., None], record: Recorder) -> None:
    compose("compose_migrate.console")
    said = record.path("compose_migrate.console").read_text()
    assert "connected to database:5432\n" in said
    assert 'run --rm migrate; echo "status $?"\nstatus 3\n' in said
    assert "{{.State}}' web\nrunning\n" in said  # the migration alone touched nothing else
    assert "didn't complete successfully: exit 3\nstatus 1\n" in said
    assert said.endswith("database: running\nmigrate: exited\nweb: created\n")


@pytest.mark.services
@pytest.mark.wrong("lab/docker/compose/wrong-impatient.yaml:wrong_impatient")
def test_a_check_gives_up_too_early(compose: Callable[..., None], record: Recorder) -> None:
    compose("compose_impatient.console")
    said = record.path("compose_impatient.console").read_text()
    assert "database-1 is unhealthy\nstatus 1\n" in said
    assert said.endswith("status 0\n")


@pytest.mark.services
def test_what_a_second_up_changes(project: Project, record: Recorder) -> None:
    def run(*words: str, release: str = "1") -> str:
        return project(*words, files=[str(RIGHT)], RELEASE=release)

    def look() -> dict[str, tuple[str, str]]:
        """Return each service's container, and when it was started."""
        found = {}
        for service in ("database", "migrate", "web"):
            identity = run("ps", "--all", "--quiet", service).strip()
            found[service] = identity, docker("inspect", "--format", "{{.State.StartedAt}}", identity)
        return found

    def compare(before: tuple[str, str], after: tuple[str, str]) -> str:
        if before[0] != after[0]:
            return "**new container**"
        return "as it was" if before == after else "started again"

    run("up", "--wait")
    rows = ["| Then | `database` | `migrate` | `web` |", "| --- | --- | --- | --- |"]
    for title, words, release in (
        ("`up --wait`, nothing changed", ("up", "--wait"), "1"),
        ("`up --wait`, `web` has another variable", ("up", "--wait", "--timeout", "1"), "2"),
        ("`restart web`, the variable changed again", ("restart", "--timeout", "1", "web"), "3"),
        ("`restart database`", ("restart", "--timeout", "1", "database"), "2"),
    ):
        before = look()
        run(*words, release=release)
        after = look()
        changes = [compare(before[service], after[service]) for service in after]
        rows.append(f"| {title} | {' | '.join(changes)} |")
    record("compose_again.md", "\n".join(rows))
    assert "new container" not in rows[2]
    assert rows[3].endswith("| **new container** |")
    assert rows[4].endswith("| started again |")
    assert rows[5].startswith("| `restart database` | started again | as it was | started again")
    assert "RELEASE=2" in run("exec", "web", "printenv")  # restart did not read the third


@pytest.mark.services
def test_a_task_that_always_restarts_is_never_completed(project: Project, name: str, tmp_path: Path) -> None:
    task = {"image": "python:3.13-slim-trixie", "command": ["true"], "restart": "always"}
    web = {
        "image": "python:3.13-slim-trixie",
        "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
    }
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump({"services": {"migrate": task, "web": web}}))
    command = ["docker", "compose", "--project-name", name, "--file", str(file), "up", "--wait"]
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=6, check=False)
    assert project("ps", "--all", "--format", "{{.State}}", "web", files=[str(file)]) == "created\n"


@pytest.mark.services
def test_waiting_for_a_task_that_nobody_needs_fails(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump({"services": {"once": {"image": "python:3.13-slim-trixie", "command": ["true"]}}}))
    said = project("up", "--wait", files=[str(file)], check=False)
    assert "once-1 exited (0)" in said


@pytest.mark.services
def test_the_warning_about_version(docker_shell: Shell, tmp_path: Path, record: Recorder) -> None:
    shutil.copy(FOLDER / "version.yaml", tmp_path)
    docker_shell("compose_version.console", lambda said: re.sub(r'time="[^"]*" ', "", said))
    said = record.path("compose_version.console").read_text()
    assert "is obsolete, it will be ignored" in said


# Without an engine


@pytest.fixture(scope="module")
def plugin() -> None:
    """The Compose plugin; it needs no engine to read files."""
    words = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("docker has no Compose plugin here")


def config(*files: Path) -> subprocess.CompletedProcess[str]:
    """Run ``docker compose config``."""
    words = [word for file in files for word in ("--file", str(file))]
    return subprocess.run(["docker", "compose", *words, "config"], capture_output=True, text=True, check=False)


def test_version_is_ignored(plugin: None) -> None:
    read = config(FOLDER / "version.yaml")
    assert read.returncode == 0
    assert "the attribute `version` is obsolete, it will be ignored" in read.stderr
    assert "version" not in read.stdout


@pytest.mark.parametrize("written", ["no", '"no"'])
def test_no_is_no(plugin: None, written: str, tmp_path: Path) -> None:
    """YAML 1.1 reads it as false; Compose does not, other tools do."""
    file = tmp_path / "compose.yaml"
    file.write_text(f"services:\n  migrate:\n    image: x\n    restart: {written}\n")
    assert yaml.safe_load(config(file).stdout)["services"]["migrate"]["restart"] == "no"
    assert yaml.safe_load(file.read_text())["services"]["migrate"]["restart"] in ({'"no"': "no", "no": False}[written],)


def test_connect_connects_or_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert connect("127.0.0.1", port) == f"connected to 127.0.0.1:{port}"
    with pytest.raises(ConnectionRefusedError):
        connect("127.0.0.1", port)


@pytest.mark.slow
def test_the_files_satisfy_the_schema() -> None:
    assert_schema("vendor.compose-spec", *(FOLDER / file for file in FILES))
