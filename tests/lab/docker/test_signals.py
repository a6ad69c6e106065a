"""Who receives the signal to stop, what becomes of a request in flight, and what a health check does."""

from __future__ import annotations

import re
import runpy
import secrets
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
import yaml

from lab.docker.healthcheck import ask
from lab.docker.signals import application, zombies
from scripts.pages import ROOT
from tests.lab.docker.conftest import container, docker, until
from tests.linters import hadolint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings
    from pytest_django.live_server_helper import LiveServer

    from tests.recording.files import Recorder

FOLDER = ROOT / "lab" / "docker" / "signals"
BIN = Path(sys.executable).parent
SLEEP = ("python", "-c", "import time; print('Booting worker', flush=True); time.sleep(60)")
READ = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8000/').read())"
QUIET = "--no-healthcheck"  # which starts a Python in each container, every second
READY = "/tmp/ready"  # noqa: S108  (in the container)
soon = partial(until, seconds=20)
LONG, SHORT = 40, 2  # seconds that docker stop waits here, instead of 10: a busy machine is slow to obey


@contextmanager
def built(name: str, folder: Path, **scripts: str) -> Iterator[str]:
    """Build a Dockerfile of the page, with the scripts of the page under the names it copies."""
    tag = f"nexus-test-{secrets.token_hex(4)}"
    shutil.copy(FOLDER / name, folder)
    for target, source in scripts.items():
        shutil.copy(FOLDER / source, folder / f"{target}.sh")
    docker("build", "--quiet", "--tag", tag, "--file", name, ".", cwd=folder)
    try:
        yield tag
    finally:
        docker("rmi", "--force", tag, check=False)


def inspect(identity: str, what: str) -> str:
    """Return one thing that ``docker inspect`` says."""
    return docker("inspect", "--format", "{{" + what + "}}", identity).strip()


def stopped(*words: str, image: str, grace: int) -> tuple[str, str, str]:
    """Start a container and stop it; return its process 1, whether it was killed, and its status."""
    with container(QUIET, *words, image=image) as identity:
        soon(lambda: "Booting worker" in docker("logs", identity))
        if "8000" in docker("logs", identity):  # a worker that only begins to start would miss the signal, too
            soon(lambda: "enrolled" in docker("exec", identity, "python", "-c", READ, check=False))
        first = docker("exec", identity, "cat", "/proc/1/comm").strip()
        docker("stop", "--timeout", str(grace), identity)
        status = inspect(identity, ".State.ExitCode")
    return first, "killed after it" if status == "137" else "before it was over", status


@pytest.mark.services
@pytest.mark.wrong("lab/docker/signals/wrong-shell.Dockerfile:wrong_shell")
@pytest.mark.wrong("lab/docker/signals/wrong-entrypoint.sh:wrong_entrypoint")
def test_who_receives_the_signal(image: str, tmp_path: Path, record: Recorder) -> None:
    with ExitStack() as images:

        def made(name: str, **scripts: str) -> str:
            folder = tmp_path / secrets.token_hex(4)
            folder.mkdir()
            return images.enter_context(built(name, folder, **scripts))

        shell, right = made("wrong-shell.Dockerfile"), made("exec.Dockerfile")
        wrong_script = made("entrypoint.Dockerfile", entrypoint="wrong-entrypoint.sh")
        right_script = made("entrypoint.Dockerfile", entrypoint="entrypoint.sh")
        cases: dict[str, tuple[tuple[str, ...], str, int]] = {
            "`CMD gunicorn …`, shell form": ((), shell, SHORT),
            '`CMD ["gunicorn", …]`, exec form': ((), right, LONG),
            "entrypoint script without `exec`": ((), wrong_script, SHORT),
            "entrypoint script with `exec`": ((), right_script, LONG),
            "Python that handles no signal": (("--", *SLEEP), image, SHORT),
            "the same, with `--init`": (("--init", "--", *SLEEP), image, LONG),
            "shell form with `--init`": (("--init",), shell, LONG),
        }

        def stop(case: str) -> tuple[str, str, str]:
            words, image, grace = cases[case]
            return stopped(*words, image=image, grace=grace)

        with ThreadPoolExecutor(len(cases)) as pool:
            found = dict(zip(cases, pool.map(stop, cases), strict=True))
    statuses = [status for _, _, status in found.values()]
    assert statuses == ["137", "0", "137", "0", "137", "143", "143"]
    rows = ["| Started by | Process 1 | Grace period | Exit status |", "| --- | --- | --- | --- |"]
    for name, (first, when, status) in found.items():
        shown = "init" if first in {"docker-init", "tini"} else first
        rows.append(f"| {name} | `{shown}` | {when} | {status} |")
    record("signals_stop.md", "\n".join(rows))


@pytest.mark.services
def test_bash_replaces_itself(image: str) -> None:
    """Which shell ``sh`` is decides: Debian's dash stays, bash makes room for a single command."""
    for shell, first in {"sh": "sh", "bash": "cat"}.items():
        assert docker("run", "--rm", image, shell, "-c", "cat /proc/1/comm").strip() == first


@pytest.fixture
def network(engine: None) -> Iterator[str]:
    """A network that lets the test reach a published port."""
    name = f"nexus-test-{secrets.token_hex(4)}"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


def in_flight(seconds: int, grace: int, image: str, network: str) -> tuple[str, str]:
    """Send a request that takes so long, stop the container meanwhile; return the answer and the status."""
    options = (QUIET, "--network", network, "--publish", "127.0.0.1::8000")
    with container(*options, image=image) as identity, ThreadPoolExecutor() as pool:
        soon(lambda: "Booting worker" in docker("logs", identity))
        url = f"http://{docker('port', identity, '8000').split()[0]}/"
        soon(lambda: answer(url) == "200 enrolled")
        waiting = pool.submit(answer, f"{url}?{seconds}")
        soon(lambda: f"enrolling, {float(seconds)} seconds" in docker("logs", identity))  # the worker has begun
        assert not waiting.done()
        docker("stop", "--timeout", str(grace), identity)
        return waiting.result(), inspect(identity, ".State.ExitCode")


def answer(url: str) -> str:
    """Return the status and the text of an answer, or that there was none."""
    try:
        with urlopen(url, timeout=30) as response:  # noqa: S310  (the published port)
            return f"{response.status} {response.read().decode().strip()}"
    except OSError:
        return "connection closed"


@pytest.mark.services
def test_a_request_in_flight(image: str, tmp_path: Path, network: str, record: Recorder) -> None:
    with built("exec.Dockerfile", tmp_path) as tag, ThreadPoolExecutor() as pool:
        cases = [(2, 10), (8, 2)]
        results = pool.map(lambda case: in_flight(case[0], case[1], tag, network), cases)
        rows = ["| The request takes | Grace period | The client gets | Exit status |", "| --- | --- | --- | --- |"]
        for (seconds, grace), (said, status) in zip(cases, results, strict=True):
            rows.append(f"| {seconds} seconds | {grace} seconds | {said} | {status} |")
    assert rows[2].endswith("| 200 enrolled | 0 |")
    assert rows[3].endswith("| connection closed | 137 |")
    record("signals_flight.md", "\n".join(rows))


@pytest.mark.services
def test_children_that_nobody_waits_for(image: str, docker_shell: Callable[..., None], record: Recorder) -> None:
    docker_shell("signals_zombies.console")
    said = record.path("signals_zombies.console").read_text()
    assert said.count("(sleep)") == 3
    assert said.endswith("zombies: []\n")


@pytest.mark.services
def test_states_of_health(image: str, record: Recorder) -> None:
    options = ("--health-cmd", f"test -e {READY}", "--health-interval", "500ms", "--health-retries", "2")
    starting = ("--health-start-period", "60s", "--health-start-interval", "200ms", "--restart", "always")
    said = []
    with container(*options, *starting, "--", "sleep", "60", image=image) as identity:

        def becomes(state: str, what: str) -> None:
            soon(lambda: inspect(identity, ".State.Health.Status") == state)
            running, restarts = inspect(identity, ".State.Status"), inspect(identity, ".RestartCount")
            said.append(f"{what:23}{state:11}{running}, restarts: {restarts}")

        soon(lambda: int(inspect(identity, "len .State.Health.Log")) >= 2)
        becomes("starting", "started; checks fail")
        docker("exec", identity, "touch", READY)
        becomes("healthy", "one check succeeds")
        docker("exec", identity, "rm", READY)
        becomes("unhealthy", "two checks fail")
        docker("exec", identity, "touch", READY)
        becomes("healthy", "one check succeeds")
    record("signals_health.txt", "\n".join(said))


@pytest.mark.services
def test_the_lab_says_that_it_is_healthy(image: str) -> None:
    key = secrets.token_hex(32)
    variables = {"DATABASE_URL": "sqlite:////tmp/db", "SECRET_KEY": key, "ALLOWED_HOSTS": "academy.example"}
    words = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    with container(*words, image=image) as identity:
        soon(lambda: inspect(identity, ".State.Health.Status") == "healthy")
        assert inspect(identity, ".Config.StopSignal") in {"", "<no value>"}  # none: SIGTERM


# Without an engine


def test_the_application_answers() -> None:
    said: list[str] = []
    body = application({"QUERY_STRING": "0.01"}, lambda status, _headers: said.append(status))  # type: ignore[arg-type]
    assert (said, list(body)) == (["200 OK"], [b"enrolled\n"])


@pytest.mark.slow
def test_the_module_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(RuntimeWarning, match="found in sys.modules"):
        runpy.run_module("lab.docker.signals", run_name="__main__")
    assert capsys.readouterr().out.startswith("zombies: [")  # process 1 of this machine buries them, or does not


def test_a_child_that_nobody_waits_for_is_a_zombie() -> None:
    with subprocess.Popen(["true"]):
        soon(lambda: "(true)" in zombies())
    assert "(true)" not in zombies()  # leaving the block waited for it


@pytest.mark.django_db(transaction=True)
def test_ask_says_what_the_lab_says(live_server: LiveServer, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["academy.example"]
    port = live_server.thread.port
    assert ask("academy.example", port) == 200
    assert ask("stranger.example", port) == 400


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        ("wrong-shell.Dockerfile", ["DL3006", "DL3025"]),
        ("exec.Dockerfile", ["DL3006"]),
        ("entrypoint.Dockerfile", ["DL3006"]),
    ],
)
def test_hadolint_sees_the_shell_form(name: str, findings: list[str]) -> None:
    assert re.findall(r"DL\d+", hadolint(FOLDER / name)) == findings


def test_docker_waits_longer_than_gunicorn() -> None:
    web = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["web"]
    assert "graceful" not in (ROOT / "Dockerfile").read_text()  # the lab leaves it at the default
    assert import_module("gunicorn.config").Config().graceful_timeout == 30
    assert web["stop_grace_period"] == "35s"
