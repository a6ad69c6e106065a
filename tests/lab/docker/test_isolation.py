"""What the kernel hides from a container, what it limits, and where the wall is thin."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.docker import isolation
from lab.docker.isolation import look, memory, processors, wrong_socket
from tests.lab.docker.conftest import container, docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Shell = Callable[..., None]

BASE = "python:3.13-slim-trixie"
MINE = ("nexus-walls", "nexus-greedy")


def clean(printed: str) -> str:
    """Return a session without ids, process ids, and warnings about the kernel's settings."""
    printed = re.sub(r"\b(sha256:)?[0-9a-f]{64}\b", "4f5a…", printed)
    printed = re.sub(r"^WARNING: .*\n", "", printed, flags=re.MULTILINE)
    printed = re.sub(r"^ +dmesg\(1\).*\n", "", printed, flags=re.MULTILINE)
    printed = re.sub(r"^.* 20\d\d$\n", "", printed, flags=re.MULTILINE)  # the date that was not set
    printed = re.sub(r"^\d{2,} +sleep", "23580 sleep", printed, flags=re.MULTILINE)
    printed = re.sub(r"^PID +COMMAND", "PID   COMMAND", printed, flags=re.MULTILINE)
    return re.sub(r"^NSpid:\s+\d+\s+1$", "NSpid:  23580   1", printed, flags=re.MULTILINE)


@pytest.fixture
def tidy(engine: None) -> Iterator[None]:
    """No container of this page, before and after."""
    docker("rm", "--force", *MINE, check=False)
    yield
    docker("rm", "--force", *MINE, check=False)


@pytest.mark.services
def test_what_a_container_sees(image: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("isolation_look.console", clean=clean)
    plain, limited = record.path("isolation_look.console").read_text().split("$ ")[1:]
    for seen in (plain, limited):
        assert "processes: [1]\nhost name: academy\n" in seen
    assert "capabilities: 0\n" in plain
    assert "memory: None\nprocessors: None\n" in plain
    assert "user: 0\ncapabilities: 14\n" in limited
    assert "memory: 268435456\nprocessors: 0.5\n" in limited


@pytest.mark.services
def test_one_process_has_two_numbers(tidy: None, docker_shell: Shell) -> None:
    with container("--", "sleep", "5", image=BASE) as other:
        if not Path(f"/proc/{docker('inspect', '--format', '{{.State.Pid}}', other).strip()}").exists():
            pytest.skip("the engine does not run on this machine: its processes cannot be seen")
    docker_shell("isolation_pids.console", clean=clean)


@pytest.mark.services
def test_what_has_a_namespace_of_its_own(engine: None, record: Recorder) -> None:
    about = {
        "pid": "processes and their numbers",
        "mnt": "the files and what is mounted",
        "net": "network interfaces, addresses, ports",
        "uts": "the host name",
        "ipc": "shared memory and message queues",
        "user": "users, and what root may do",
    }
    names = " ".join(f"/proc/self/ns/{name}" for name in about)
    inside = docker("run", "--rm", BASE, "sh", "-c", f"readlink {names}").split()
    own = {name for name, link in zip(about, inside, strict=True) if os.readlink(f"/proc/self/ns/{name}") != link}
    assert own == set(about) - {"user"}
    rows = [f"| `{name}` | {what} | {'yes' if name in own else 'no'} |" for name, what in about.items()]
    record(
        "isolation_namespaces.md",
        "\n".join(["| Namespace | What it separates | Its own? |", "| --- | --- | --- |", *rows]),
    )


@pytest.mark.services
def test_localhost_is_the_container(engine: None) -> None:
    ask = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print('connected')"
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = (BASE, "python", "-c", ask, str(server.getsockname()[1]))
        assert "ConnectionRefusedError" in docker("run", "--rm", "--network", "none", *words, check=False)
        assert "connected" in docker("run", "--rm", "--network", "host", *words)


@pytest.mark.services
def test_who_takes_too_much_memory_is_killed(tidy: None, image: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("isolation_memory.console", clean=clean)
    assert record.path("isolation_memory.console").read_text().endswith("out of memory: true\n")


COUNT = "import os; print(os.cpu_count(), os.process_cpu_count())"
BUSY = """
import time
until = time.monotonic() + 1
while time.monotonic() < until: pass
print(time.process_time())
"""


@pytest.mark.services
def test_a_quota_is_not_a_number_of_processors(engine: None, record: Recorder) -> None:
    everything = docker("info", "--format", "{{.NCPU}}").strip()
    if everything == "1":
        pytest.skip("this machine has one processor")
    options = {"nothing": [], "`--cpus 0.25`": ["--cpus", "0.25"], "`--cpuset-cpus 0`": ["--cpuset-cpus", "0"]}
    rows = ["| Started with | `nproc` | `os.cpu_count()` | `os.process_cpu_count()` |", "| --- | --- | --- | --- |"]
    for name, words in options.items():
        said = docker("run", "--rm", *words, BASE, "sh", "-c", f"nproc; python -c '{COUNT}'").split()
        rows.append(f"| {name} | {' | '.join('all' if number == everything else number for number in said)} |")
    record("isolation_processors.md", "\n".join(rows))
    assert docker("run", "--rm", "--env", "PYTHON_CPU_COUNT=1", BASE, "python", "-c", COUNT).split() == ["1", "1"]


@pytest.mark.services
def test_a_quota_stops_a_busy_loop(engine: None) -> None:
    assert float(docker("run", "--rm", "--cpus", "0.25", BASE, "python", "-c", BUSY)) < 0.5  # in a second


@pytest.mark.services
def test_root_without_capabilities(engine: None, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("isolation_capabilities.console", clean=clean)
    said = record.path("isolation_capabilities.console").read_text()
    assert said.count("\nchanged\n") == 1
    assert said.casefold().count("not permitted") == 2


@pytest.mark.services
def test_root_is_root(engine: None, docker_shell: Shell, tmp_path: Path) -> None:
    try:
        docker_shell("isolation_root.console", clean=clean)
    finally:  # what root wrote, only root can delete
        docker("run", "--rm", "--volume", f"{tmp_path}:/all", BASE, "rm", "-rf", "/all/grades", check=False)
    seen = docker("run", "--rm", "--privileged", BASE, "grep", "-E", "CapEff|Seccomp:", "/proc/self/status")
    mask, seccomp = (line.split()[1] for line in seen.splitlines())
    assert int(mask, 16).bit_count() > 30
    assert seccomp == "0"


@pytest.mark.services
@pytest.mark.wrong("lab/docker/isolation.py:wrong_socket")
def test_who_has_the_socket_reads_what_other_containers_know(image: str) -> None:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip(f"the engine answers at {host}, not at a socket of this machine")
    password = secrets.token_hex(8)
    with container("--env", f"POSTGRES_PASSWORD={password}", "--", "sleep", "30", image=BASE) as other:
        code = (
            f"from lab.docker.isolation import wrong_socket; print(wrong_socket('/containers/{other}/json').decode())"
        )
        socket_file = f"{host.removeprefix('unix://')}:/var/run/docker.sock:ro"
        said = docker(
            *("run", "--rm", "--user", "root", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--read-only", "--volume", socket_file, image, "python", "-c", code),
        )
        assert f"POSTGRES_PASSWORD={password}" in json.loads(said)["Config"]["Env"]


# Without an engine


def test_look_says_what_this_process_sees() -> None:
    seen = look()
    assert os.getpid() in seen["processes"]  # type: ignore[operator]
    assert seen["user"] == os.getuid()
    assert seen["host name"] == socket.gethostname()


@pytest.mark.parametrize(
    ("files", "bytes_", "share"),
    [
        ({"memory.max": "268435456\n", "cpu.max": "50000 100000\n"}, 268435456, 0.5),
        ({"memory.max": "max\n", "cpu.max": "max 100000\n"}, None, None),
        (
            {
                "memory/memory.limit_in_bytes": "268435456\n",
                "cpu/cpu.cfs_quota_us": "50000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            268435456,
            0.5,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "cpu/cpu.cfs_quota_us": "-1\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            None,
        ),
        ({}, None, None),
    ],
)
def test_both_versions_of_control_groups(
    tmp_path: Path, files: dict[str, str], bytes_: int | None, share: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory(tmp_path) == bytes_
    assert processors(tmp_path) == share
    assert Path("/sys/fs/cgroup") == isolation.CGROUPS


def test_the_engine_is_asked_through_a_file(tmp_path: Path) -> None:
    address = str(tmp_path / "engine.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1000).startswith(b"GET /version HTTP/1.1\r\n")
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=answer)
        thread.start()
        assert wrong_socket("/version", address) == b"{}"
        thread.join()
