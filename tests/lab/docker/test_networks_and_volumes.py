"""Who reaches whom, on which port, and which files are there afterwards."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.docker.networks_and_volumes.reach import reach
from scripts import services
from scripts.pages import ROOT
from tests.lab.docker.conftest import docker
from tests.linters import assert_schema, hadolint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Project = Callable[..., str]
    Shell = Callable[..., None]

FOLDER = ROOT / "lab" / "docker" / "networks_and_volumes"
BIN = Path(sys.executable).parent
FILES = ("compose.yaml", "wrong-ports.yaml", "volumes.yaml", "wrong-database.yaml")
NETWORKS, PUBLISHED, VOLUMES = (str(FOLDER / name) for name in FILES[:3])


@pytest.fixture
def port() -> str:
    """A port that nobody uses, as a variable."""
    return str(services.free_port())


def inspect(identity: str) -> dict[str, Any]:
    """Return what Docker knows of a container."""
    found: dict[str, Any] = json.loads(docker("inspect", identity))[0]
    return found


# Networks


@pytest.mark.services
def test_who_reaches_whom(project: Project, port: str, record: Recorder) -> None:
    def run(*words: str) -> str:
        return project(*words, files=[NETWORKS], PORT=port)

    def ask(service: str, host: str, number: str) -> str:
        return run("exec", service, "python", "/reach.py", host, number).strip()

    run("up", "--wait", "--scale", "web=3")
    rows = ["| From | To | Answer |", "| --- | --- | --- |"]
    for service, host, number, shown in (
        ("proxy", "web", "8000", "8000"),
        ("proxy", "database", "6379", "6379"),
        ("web", "database", "6379", "6379"),
        ("web", "localhost", "6379", "6379"),
        ("web", "proxy", "8000", "8000"),
        ("web", "proxy", port, "8001"),
    ):
        rows.append(f"| `{service}` | `{host}:{shown}` | {ask(service, host, number)} |")
    rows.append(f"| this machine | `127.0.0.1:8001` | {reach('127.0.0.1', int(port))} |")
    record("networks_and_volumes_reach.md", "\n".join(rows))
    addresses = run("exec", "proxy", "getent", "ahostsv4", "web").split()
    assert len({word for word in addresses if word.count(".") == 3}) == 3
    inside = inspect(run("ps", "--quiet", "web").split()[0])["NetworkSettings"]
    assert not any(inside["Ports"].values())  # web publishes nothing and exposes nothing, and proxy reaches it
    if docker("info", "--format", "{{.OperatingSystem}}").strip() != "Docker Desktop":  # the machine is the host
        front = next(about for network, about in inside["Networks"].items() if network.endswith("_front"))
        assert reach(front["IPAddress"], 8000) == "connected"


@pytest.mark.services
def test_localhost_is_the_container(folder: Path, name: str, port: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell(
        "networks_and_volumes_localhost.console", COMPOSE_PROJECT_NAME=name, COMPOSE_PROGRESS="quiet", PORT=port
    )
    said = record.path("networks_and_volumes_localhost.console").read_text()
    assert said.endswith("database 6379\nconnected\n")
    assert "localhost 6379\nrefused\n" in said


@pytest.mark.services
@pytest.mark.wrong("lab/docker/networks_and_volumes/wrong-ports.yaml:wrong_ports")
def test_a_port_without_an_address_is_open_to_all(project: Project, port: str, record: Recorder) -> None:
    rows = ["| `ports:` | Listens at | At `127.0.0.1` | At this machine's other address |", "| --- | --- | --- | --- |"]
    found = {}
    for shown, file in (("127.0.0.1:8001:8000", NETWORKS), ("8001:8000", PUBLISHED)):

        def run(*words: str, file: str = file) -> str:
            return project(*words, files=[file], PORT=port)

        run("up", "--wait", "--remove-orphans", "--timeout", "1")
        (network,) = inspect(run("ps", "--quiet", "proxy").strip())["NetworkSettings"]["Networks"].values()
        ports = inspect(run("ps", "--quiet", "proxy").strip())["NetworkSettings"]["Ports"]["8000/tcp"]
        address = network["Gateway"]  # of this machine, on the network of the container
        found[shown] = reach("127.0.0.1", int(port)), reach(address, int(port))
        hosts = {binding["HostIp"] for binding in ports} - {"::"}  # where the machine has IPv6, too
        listens = f"{hosts.pop()}:8001"
        assert not hosts
        rows.append(f"| `{shown}` | `{listens}` | {' | '.join(found[shown])} |")
        run("down", "--timeout", "1")
    assert found == {"127.0.0.1:8001:8000": ("connected", "refused"), "8001:8000": ("connected", "connected")}
    record("networks_and_volumes_published.md", "\n".join(rows))


# Volumes


@pytest.mark.services
def test_which_files_stay(folder: Path, project: Project, record: Recorder) -> None:
    places = {
        "the container's own layer": "/",
        "tmpfs": "/temporary",
        "an anonymous volume": "/anonymous",
        "a named volume": "/named",
        "a bind mount": "/folder",
    }
    left = []

    def run(*words: str) -> str:
        return project(*words, files=[str(folder / "volumes.yaml")])

    def anonymous() -> str:
        mounts = json.loads(docker("inspect", run("ps", "--quiet", "web").strip()))[0]["Mounts"]
        return str(next(mount["Name"] for mount in mounts if mount["Destination"] == "/anonymous"))

    found: dict[str, list[str]] = {place: [] for place in places}
    steps: list[list[list[str]]] = [
        [["restart", "--timeout", "1"]],
        [["up", "--wait", "--force-recreate", "--timeout", "1"]],
        [["down", "--timeout", "1"], ["up", "--wait"]],
        [["down", "--volumes", "--timeout", "1"], ["up", "--wait"]],
    ]
    run("up", "--wait")
    for step in steps:
        run("exec", "web", "touch", *(f"{folder}/written" for folder in places.values()))
        left.append(anonymous())
        for words in step:
            run(*words)
        for place, where in places.items():
            there = run("exec", "web", "sh", "-c", f"test -e {where}/written && echo stays || echo **gone**")
            found[place].append(there.strip())
    rows = [
        "| Written into | `restart` | `up --force-recreate` | `down` and `up` | `down --volumes` and `up` |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {place} | {' | '.join(stays)} |" for place, stays in found.items()),
    ]
    record("networks_and_volumes_stay.md", "\n".join(rows))
    # A container that is recreated keeps its anonymous volume; after down nobody uses it, and it is still there.
    assert left[0] == left[1] == left[2] != left[3]
    volumes = docker("volume", "ls", "--quiet").split()
    assert left[2] in volumes
    assert left[3] not in volumes
    docker("volume", "rm", left[2])


@pytest.mark.services
def test_what_a_new_mount_shows(engine: None, name: str, tmp_path: Path) -> None:
    """A new volume gets a copy of the image's files; a folder hides them."""
    image = ("python:3.13-slim-trixie", "ls", "-A", "/etc/skel")
    try:
        volume = docker("run", "--rm", "--volume", f"{name}:/etc/skel", *image)
        folder = docker("run", "--rm", "--volume", f"{tmp_path}:/etc/skel", *image)
        memory = docker("run", "--rm", "--tmpfs", "/etc/skel", *image)
    finally:
        docker("volume", "rm", "--force", name)
    assert ".bashrc" in volume
    assert folder == ""
    assert memory == ""


@pytest.fixture
def tidy(engine: None) -> Iterator[None]:
    """No image and no volume of the sessions, before and after."""

    def remove() -> None:
        docker("rmi", "--force", "nexus-owner", check=False)
        docker("volume", "rm", "--force", "nexus-media", "nexus-uploads", check=False)

    remove()
    yield
    remove()


@pytest.mark.services
def test_who_may_write(tidy: None, folder: Path, docker_shell: Shell, record: Recorder) -> None:
    docker_shell(
        "networks_and_volumes_owner.console", lambda said: re.sub(r"^sha256:\w+$", "4f5a…", said, flags=re.MULTILINE)
    )
    said = record.path("networks_and_volumes_owner.console").read_text()
    assert said.count("Permission denied") == 2
    assert "\nama.png\n" in said
    assert "\nwritten\n" in said
    assert said.endswith("'/uploads/esi.png': Permission denied\n")


@pytest.mark.services
def test_a_missing_file_becomes_a_folder(docker_shell: Shell, record: Recorder, tmp_path: Path) -> None:
    docker_shell("networks_and_volumes_missing.console")
    said = record.path("networks_and_volumes_missing.console").read_text()
    assert "Is a directory" in said
    assert said.endswith("\ndirectory courses.toml\n")
    mount = f"type=bind,source={tmp_path}/lessons.toml,target=/lessons.toml"
    refused = docker("run", "--rm", "--mount", mount, "python:3.13-slim-trixie", "true", check=False)
    assert "bind source path does not exist" in refused


@pytest.mark.services
def test_compose_can_refuse_it_too(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    mount = {"type": "bind", "source": "./lessons.toml", "target": "/lessons.toml", "bind": {"create_host_path": False}}
    web = {"image": "python:3.13-slim-trixie", "volumes": [mount]}
    file.write_text(json.dumps({"services": {"web": web}}))
    assert "bind source path does not exist" in project("up", "--wait", files=[str(file)], check=False)


@pytest.mark.services
@pytest.mark.wrong("lab/docker/networks_and_volumes/wrong-database.yaml:wrong_mount")
def test_postgresql_18_wants_its_volume_one_level_up(
    folder: Path, name: str, docker_shell: Shell, record: Recorder
) -> None:
    docker_shell(
        "networks_and_volumes_mount.console",
        lambda said: said.replace(name, "academy"),
        COMPOSE_PROJECT_NAME=name,
        COMPOSE_PROGRESS="quiet",
    )
    assert "database-1 exited (1)" in record.path("networks_and_volumes_mount.console").read_text()


# Without an engine


def test_reach_says_what_came_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reach("127.0.0.1", port) == "connected"
    assert reach("127.0.0.1", port) == "refused"

    def fail(error: Exception) -> None:
        def connect(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(socket, "create_connection", connect)

    fail(socket.gaierror())
    assert reach("database", 6379) == "no such name"
    fail(TimeoutError())
    assert reach("database", 6379) == "no answer"


@pytest.mark.slow
def test_the_files_satisfy_the_schema() -> None:
    assert_schema("vendor.compose-spec", *(FOLDER / file for file in FILES))


def test_hadolint_finds_nothing() -> None:
    assert hadolint(FOLDER / "owner.Dockerfile") == ""
