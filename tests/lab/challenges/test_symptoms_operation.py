"""Errors of servers, containers and installers that people search for: each is raised here, and its text recorded."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from celery import Celery
from django.db import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from lab.academy.models import Course
from lab.academy.tasks import issue_certificates
from lab.celery import app
from scripts import services
from scripts.pages import ROOT
from scripts.services import free_port
from tests.lab.challenges.symptoms import connect, last_line, symptom
from tests.lab.docker.conftest import engine, image, project, project_name
from tests.lab.production import kept
from tests.lab.python.packages import MANAGERS, NEEDED, alone, release, surroundings
from tests.lab.python.test_virtual_environments import scratch_python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.lab.python.packages import Release
    from tests.recording.files import Recorder

__all__ = ["engine", "image", "project", "project_name"]

NOBODY = 65534
UNSTABLE = (
    (re.compile(r"\b(port |pid:|localhost:)\d+"), r"\1…"),
    (re.compile(r"(?m)^\[[\d-]+ [\d:,]+: "), "[…: "),  # Celery's
    (re.compile(r"(?m)^\[[\d-]+ [\d:]+ [+-]\d+\] \[\d+\]"), "[…] […]"),  # Gunicorn's
)


def stable(text: str, folder: Path) -> str:
    """Return a text without ports, processes, times and the test's folder."""
    text = text.replace(str(folder), "…")
    for pattern, same in UNSTABLE:
        text = pattern.sub(same, text)
    return text


def no_server(folder: Path) -> object:
    return connect(f"postgresql://nexus:secret@127.0.0.1:{free_port()}/nexus")


def unknown_host(folder: Path) -> str:
    """Ask with the driver and with libpq, on which psql and psycopg2 stand; why not, is the resolver's to say."""
    with pytest.raises(OperationalError) as refused:
        connect("postgresql://nexus:secret@db/nexus")
    plain = psycopg.pq.PGconn.connect(b"postgresql://nexus@db/nexus").error_message.decode()
    return "\n".join(f"{text.rpartition(': ')[0]}: …" for text in (last_line(refused.value), plain))


def port_in_use(folder: Path) -> str:
    """Bind one port twice, and start Django's server on it."""
    with closing(socket.socket()) as first, closing(socket.socket()) as second:
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(OSError, match="in use") as refused:
            second.bind(("127.0.0.1", port))
        done = subprocess.run(
            [sys.executable, "-m", "django", "runserver", f"127.0.0.1:{port}", "--noreload", "--skip-checks"],
            cwd=ROOT,
            env={**kept("COVERAGE"), "DEBUG": "true", "DATABASE_URL": "sqlite://:memory:",
                 "DJANGO_SETTINGS_MODULE": "lab.settings"},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    return f"{last_line(refused.value)}\n{done.stderr.strip().splitlines()[-1]}"


def no_module(folder: Path) -> object:
    return importlib.import_module("django_filter")


def permission_denied(folder: Path) -> object:
    """Write as somebody to whom the folder does not belong."""
    (folder / "staticfiles").mkdir(mode=0o555)
    try:
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        return (folder / "staticfiles" / "academy.css").open("w")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


def script(folder: Path, text: str) -> Path:
    """Return a file that may be run."""
    path = folder / "entrypoint.sh"
    path.write_bytes(text.encode())
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def exec_format(folder: Path) -> object:
    return subprocess.run([str(script(folder, "exec gunicorn lab.wsgi\n"))], check=True)


def line_ends(folder: Path) -> str:
    path = script(folder, "#!/usr/bin/env bash\r\nexec gunicorn lab.wsgi\r\n")
    done = subprocess.run([path], env={"LC_ALL": "C"}, capture_output=True, text=True, check=False)
    return done.stderr.splitlines()[0]  # newer releases of env add advice


def no_redis(folder: Path) -> object:
    return Redis.from_url(f"redis://localhost:{free_port()}/0").ping()


def encode_error(folder: Path) -> object:
    with app.connection_for_write("memory://") as connection:
        return issue_certificates.apply_async((Course(title="Python"),), connection=connection)


def disabled_backend(folder: Path) -> object:
    return app.AsyncResult("no-such-task").state


RAISES: dict[str, Callable[[Path], object]] = {
    "symptom_no_server.txt": no_server,
    "symptom_unknown_host.txt": unknown_host,
    "symptom_port_in_use.txt": port_in_use,
    "symptom_no_module.txt": no_module,
    "symptom_permission_denied.txt": permission_denied,
    "symptom_exec_format.txt": exec_format,
    "symptom_line_ends.txt": line_ends,
    "symptom_no_redis.txt": no_redis,
    "symptom_encode_error.txt": encode_error,
    "symptom_disabled_backend.txt": disabled_backend,
}


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("name", RAISES)
def test_an_error_says_what_the_entry_shows(record: Recorder, tmp_path: Path, name: str) -> None:
    record(name, stable(symptom(RAISES[name], tmp_path), tmp_path))


def test_a_task_that_nobody_sent_is_pending(session: Callable[..., None]) -> None:
    session(
        "symptom_pending.pycon",
        app=Celery("academy", broker="memory://", backend="cache+memory://", set_as_current=False),
    )


# Servers that refuse


@pytest.mark.services
@pytest.mark.django_db
def test_a_wrong_password(record: Recorder, tmp_path: Path) -> None:
    try:
        parts = urlsplit(services.url("postgresql"))
    except services.Unavailable as reason:
        pytest.skip(str(reason))
    address = f"postgresql://nexus:wrong@{parts.hostname}:{parts.port}{parts.path}"
    record("symptom_wrong_password.txt", stable(symptom(connect, address), tmp_path))


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Valkey server of this module's own."""
    try:
        with services.running("valkey") as url:
            yield url
    except services.Unavailable as reason:
        pytest.skip(str(reason))


def answered(url: str, command: str) -> str:
    """Return what the server sends for a command, and what the client raises."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as plain:
        plain.sendall(f"{command}\r\n".encode())
        sent = plain.recv(4096).decode().strip().removeprefix("-")  # which marks an error
    with Redis.from_url(url) as client, pytest.raises(RedisError) as refused:
        client.execute_command(*command.split())
    return f"{sent}\n{last_line(refused.value)}"


@pytest.mark.services
def test_a_cache_server_that_refuses(redis_url: str, record: Recorder) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as owner:
        owner.config_set("maxmemory", 1)
        record("symptom_redis_full.txt", answered(redis_url, "SET course:1 Python"))
        owner.config_set("maxmemory", 0)
        # A folder where the snapshot should go: the server cannot put its file there.
        (Path(owner.config_get("dir")["dir"]) / owner.config_get("dbfilename")["dbfilename"]).mkdir()
        owner.config_set("save", "3600 1")
        owner.bgsave()
        end = time.monotonic() + 20
        while owner.info("persistence")["rdb_last_bgsave_status"] != "err" and time.monotonic() < end:
            time.sleep(0.02)
        record("symptom_redis_snapshot.txt", answered(redis_url, "SET course:1 Python").splitlines()[0])
        owner.config_set("save", "")
        owner.config_set("requirepass", "a secret")
        record("symptom_redis_password.txt", answered(redis_url, "PING"))
        owner.config_set("requirepass", "")


@pytest.mark.slow
@pytest.mark.services
def test_a_container_without_memory(image: str, project: Callable[..., str], record: Recorder, tmp_path: Path) -> None:
    command = ["python", "-c", "b'x' * 500_000_000"]
    web = {"image": image, "command": command, "mem_limit": "64m", "network_mode": "none"}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"web": web}}), encoding="utf-8")
    said = project("up", "--no-color", files=["compose.yaml"], cwd=tmp_path, check=False)
    found = re.search(r"web-1 exited with code \d+", said)
    assert found, said
    record("symptom_killed.txt", found[0])


# Programs that run until their log says it


@contextmanager
def program(folder: Path, *arguments: str, **variables: str) -> Iterator[Callable[[str], str]]:
    """Run a module; yield a function that waits for words in its log and returns the log."""
    log = folder / "log"
    with log.open("w") as output:
        environ = {**kept("COVERAGE"), "DEBUG": "true", "DATABASE_URL": "sqlite://:memory:", **variables}
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

        def said(words: str) -> str:
            end = time.monotonic() + 40
            while words not in log.read_text(encoding="utf-8") and time.monotonic() < end:
                time.sleep(0.05)
            text = log.read_text(encoding="utf-8")
            assert words in text, text
            return text

        try:
            yield said
        finally:
            with suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, signal.SIGKILL)  # with its children; nothing of it is kept
            process.wait()


def lines_with(text: str, *words: str) -> str:
    """Return the lines of a log that hold one of some words."""
    return "\n".join(line for line in text.splitlines() if any(word in line for word in words))


@pytest.mark.slow
def test_a_worker_that_hangs(record: Recorder, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\n\ndef app(environ, start_response):\n    time.sleep(60)\n")
    port = free_port()
    options = ("--chdir", str(tmp_path), "--timeout", "1", "--bind", f"127.0.0.1:{port}")
    with program(tmp_path, "gunicorn", "slow:app", *options) as said:
        said("Listening at")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = said("WORKER TIMEOUT")
    record("symptom_worker_timeout.txt", stable(lines_with(text, "WORKER TIMEOUT"), tmp_path))


@pytest.mark.slow
def test_a_server_without_an_application(record: Recorder, tmp_path: Path) -> None:
    with program(tmp_path, "gunicorn", "lab.wsgi:app", "--bind", "127.0.0.1:0") as said:
        text = said("Shutting down")
    record("symptom_no_application.txt", stable(lines_with(text, "Failed", "Reason"), tmp_path))


def worker(folder: Path, broker: str, queue: str) -> AbstractContextManager[Callable[[str], str]]:
    """Run the lab's worker with a broker."""
    options = ("--pool", "solo", "--queues", queue, "--without-gossip", "--without-mingle", "--loglevel", "error")
    variables = {"DJANGO_SETTINGS_MODULE": "lab.settings", "BROKER_URL": broker}
    return program(folder, "celery", "--app", "lab", "worker", *options, **variables)


@pytest.mark.slow
def test_a_worker_without_its_broker(record: Recorder, tmp_path: Path) -> None:
    with worker(tmp_path, f"redis://localhost:{free_port()}/0", "symptoms") as said:
        text = said("Trying again")
    lines = lines_with(text, "Cannot connect", "Trying again")
    record("symptom_no_broker.txt", stable(lines, tmp_path))


@pytest.mark.slow
@pytest.mark.services
def test_a_task_that_the_worker_does_not_know(redis_url: str, record: Recorder, tmp_path: Path) -> None:
    with worker(tmp_path, redis_url, "symptoms") as said:
        with app.connection_for_write(redis_url) as connection:
            app.send_task("academy.tasks.issue_certificates", (1,), queue="symptoms", connection=connection)
        text = said("unregistered task")
    record("symptom_unregistered.txt", stable(lines_with(text, "unregistered", "ignored and"), tmp_path))


# Installers


def pip(folder: Path, wheels: list[Release], *arguments: str) -> str:
    """Return what pip says when it may install wheels of a folder and nothing else."""
    for wheel in wheels:
        (folder / wheel.filename).write_bytes(wheel.content)
    with alone():
        done = subprocess.run(
            [MANAGERS / "pip", "install", "--dry-run", "--no-index", "--find-links", folder, "--target", folder / "to",
             *arguments],
            env=surroundings(folder),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    return stable(done.stderr, folder)


@NEEDED
@pytest.mark.slow
def test_packages_that_exclude_each_other(record: Recorder, tmp_path: Path) -> None:
    wheels = [
        release("academy-grades", "1.0"),
        release("academy-grades", "1.1"),
        release("academy-reports", "1.0", "academy-grades==1.0"),
        release("academy-exports", "1.0", "academy-grades==1.1"),
    ]
    said = pip(tmp_path, wheels, "academy-reports", "academy-exports")
    record("symptom_resolution.txt", lines_with(said, "ERROR: "))


@NEEDED
@pytest.mark.slow
def test_a_wheel_with_another_hash(record: Recorder, tmp_path: Path) -> None:
    locked, replaced = release("academy-grades", "1.1"), release("academy-grades", "1.1", code="print()\n")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"academy-grades==1.1 --hash=sha256:{locked.sha256}\n", encoding="utf-8")
    said = pip(tmp_path, [replaced], "--require-hashes", "-r", str(requirements))
    record("symptom_hash.txt", said[said.index("ERROR: ") :])


@NEEDED
@pytest.mark.slow
def test_a_python_of_the_system(record: Recorder, tmp_path: Path) -> None:
    scratch_python(tmp_path / "system")
    (library,) = (tmp_path / "system" / "lib").glob("python3.*")
    shutil.copy(ROOT / "lab/python/virtual_environments/EXTERNALLY-MANAGED", library)
    done = subprocess.run(
        [tmp_path / "system/bin/python", "-m", "pip", "install", "academy-grades"],
        env=surroundings(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    record("symptom_externally_managed.txt", "\n".join(done.stderr.splitlines()[:3]))
