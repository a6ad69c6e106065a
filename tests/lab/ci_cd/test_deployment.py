"""Servers are replaced under constant requests; changes of a table meet old and new code; a part gets what is new."""

from __future__ import annotations

import datetime
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.migrations.state import ProjectState

from lab.academy.models import Course
from lab.ci_cd.deployment import Flag, NotReadyError, Server, in_share, overdue, roll, wrong_in_share, wrong_roll
from lab.ci_cd.deployment_samples import CHANGES, language, wrong_language
from lab.ci_cd.proxy import Proxy, point
from scripts.services import free_port
from tests import databases
from tests.lab.ci_cd.visitors import visit, visitors
from tests.lab.ci_cd.workflows import EXAMPLES, content, run, stand_ins, steps
from tests.lab.production import PRODUCTION
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from django.db.migrations.operations.base import Operation

    from tests.lab.ci_cd.visitors import Seen
    from tests.recording.files import Recorder

PAGE = "/api/v1/courses/"


# The proxy ------------------------------------------------------------------------------------------


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve in a thread; yield the host and the port."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy that serves, and has no servers yet."""
    made = Proxy(tmp_path / "servers")
    with served(made):
        yield made


def url(proxy: Proxy, path: str = "/") -> str:
    """Return the address of a page behind the proxy."""
    return f"http://127.0.0.1:{proxy.server_port}{path}"


class Slow(BaseHTTPRequestHandler):
    """Answers when it may."""

    begun, may = threading.Event(), threading.Event()

    def do_GET(self) -> None:
        """Say that a request has come, and wait."""
        self.begun.set()
        assert self.may.wait(10)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""


def test_draining_waits_for_the_request_in_flight(proxy: Proxy) -> None:
    Slow.begun.clear()
    Slow.may.clear()
    with served(ThreadingHTTPServer(("127.0.0.1", 0), Slow)) as old, ThreadPoolExecutor() as pool:
        point(proxy.servers, old)
        answer = pool.submit(visit, url(proxy))
        assert Slow.begun.wait(10)
        point(proxy.servers, "127.0.0.1:1")
        assert not proxy.drain(old, 0.05)
        assert visit(url(proxy)) == ("502", "")  # the next one goes to the new server, where nobody is
        Slow.may.set()
        assert proxy.drain(old, 10)
        assert answer.result() == ("200", old)


def test_the_servers_take_turns(proxy: Proxy) -> None:
    Slow.may.set()
    with (
        served(ThreadingHTTPServer(("127.0.0.1", 0), Slow)) as one,
        served(ThreadingHTTPServer(("127.0.0.1", 0), Slow)) as other,
    ):
        point(proxy.servers, one, other)
        assert [visit(url(proxy))[1] for _ in range(4)] in [[one, other] * 2, [other, one] * 2]


# Replacing servers ----------------------------------------------------------------------------------


@pytest.fixture
def start(academy: None) -> Iterator[Callable[..., Server]]:
    """``start()`` starts gunicorn with the lab, on this test's database; what still runs at the end is stopped."""
    started = []

    def begin(**variables: str) -> Server:
        environ = {
            **PRODUCTION,
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": databases.address(),
            "DJANGO_SETTINGS_MODULE": "tests.lab.served",
            **variables,
        }
        server = Server(free_port(), "--threads", "4", "--log-level", "critical", "lab.wsgi", **environ)
        started.append(server)
        return server

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.stop()


def behind(proxy: Proxy, start: Callable[..., Server], number: int) -> list[Server]:
    """Return so many ready servers behind the proxy."""
    servers = [start() for _ in range(number)]
    assert all(server.ready(60) for server in servers)
    point(proxy.servers, *(server.name for server in servers))
    return servers


def replaced(proxy: Proxy, servers: list[Server], by: Callable[[], list[Server]]) -> tuple[list[Server], Seen]:
    """Replace servers while visitors come; return the new ones, when they are ready, and what the visitors saw."""
    with visitors(url(proxy, PAGE)) as seen:
        time.sleep(0.2)
        serving = by()
        assert all(server.ready(60) for server in serving)
        time.sleep(0.2)
    assert not {server.name for server in servers} & {server.name for server in serving}
    assert {server.name for server in serving} <= set(seen.servers)
    assert all(server.process.poll() is not None for server in servers)
    return serving, seen


class Told(Server):
    """A server without a process that notes what it is told."""

    def __init__(self, name: str, notes: list[str], *, ready: bool = True) -> None:
        self.name, self.notes, self.says = name, notes, ready

    def ready(self, within: float) -> bool:  # noqa: ARG002
        """Say what it is told to say."""
        self.notes.append(f"{self.name} is asked")
        return self.says

    def stop(self) -> None:
        """Note that it was stopped."""
        self.notes.append(f"{self.name} stops")


def order(tmp_path: Path, *coming: bool, **options: bool) -> list[str]:
    """Return what happens while two servers are replaced by those that become ready, or do not."""
    notes: list[str] = []
    with Proxy(tmp_path / "servers") as proxy:
        names = iter(["c", "d"])
        told = iter(coming)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lab.ci_cd.deployment.point", lambda _file, *names: notes.append("list: " + " ".join(names)))
            patch.setattr(proxy, "drain", lambda name, **_: notes.append(f"{name} is drained"))
            old = [Told("a", notes), Told("b", notes)]
            try:
                roll(proxy, old, lambda: Told(next(names), notes, ready=next(told)), **options)
            except NotReadyError:
                notes.append("given up")
    return notes


def test_the_order_of_a_rolling_replacement(tmp_path: Path) -> None:
    first = ["c is asked", "list: c b", "a is drained", "a stops"]
    assert order(tmp_path, True, True) == [*first, "d is asked", "list: c d", "b is drained", "b stops"]
    assert order(tmp_path, True, False) == [*first, "d is asked", "d stops", "given up"]
    assert order(tmp_path, False) == ["c is asked", "c stops", "given up"]
    assert order(tmp_path, True, True, drain=False)[:3] == ["c is asked", "a stops", "list: c b"]
    assert order(tmp_path, False, False, check=False)[:2] == ["list: c b", "a is drained"]


@pytest.mark.slow
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.wrong("lab/ci_cd/deployment.py:wrong_roll")
def test_replacing_servers_with_and_without_losses(proxy: Proxy, start: Callable[..., Server]) -> None:
    servers = behind(proxy, start, 1)
    servers, seen = replaced(proxy, servers, lambda: roll(proxy, servers, start))
    assert seen.failed == 0
    assert seen.sent > 20
    servers, seen = replaced(proxy, servers, lambda: wrong_roll(proxy, servers, start))
    assert set(seen.statuses) == {"200", "502"}
    # A new release that cannot serve: it is stopped, and the old one is still there.
    with visitors(url(proxy, PAGE)) as seen, pytest.raises(NotReadyError):
        roll(proxy, servers, lambda: start(DEBUG="perhaps"))
    assert seen.failed == 0
    assert set(seen.servers) == {server.name for server in servers}


WAYS = {
    "stop the old one, then start": {},
    "switch without asking for readiness": {"check": False},
    "switch after stopping the old one": {"drain": False},
    "ask, switch, drain, stop": {"check": True},
}


def lost(proxy: Proxy, start: Callable[..., Server], rounds: int) -> dict[str, float]:
    """Return how many requests each way of replacing two servers loses: the median of some rounds, taken in turns."""
    servers = behind(proxy, start, 2)
    failed: dict[str, list[int]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, options in WAYS.items():
            old, way = servers, roll if options else wrong_roll
            servers, seen = replaced(proxy, old, lambda: way(proxy, old, start, **options))  # noqa: B023
            failed[name].append(seen.failed)
    return {name: float(sorted(counts)[rounds // 2]) for name, counts in failed.items()}


@pytest.mark.measures("rolling")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_requests_that_each_way_loses(
    measured: Callable[[str, Callable[[], Measurement]], Measurement], proxy: Proxy, start: Callable[..., Server]
) -> None:
    def measure() -> Measurement:
        return Measurement(
            title="Requests lost while two servers are replaced",
            description="Only the last way, which asks for readiness and drains before it stops a server, loses none.",
            x="way of replacing a server",
            y="lost requests",
            versions={name: version(name) for name in ("gunicorn", "Django")},
            bars=lost(proxy, start, rounds=3),
        )

    *careless, careful = measured("rolling.json", measure).bars.values()
    assert careful == 0
    assert min(careless) > 0


# Tables ---------------------------------------------------------------------------------------------

NEW = {"slug": "networks", "starts_on": datetime.date(2027, 1, 11), "ends_on": datetime.date(2027, 3, 31)}


@contextmanager
def released(operation: Operation) -> Iterator[Any]:
    """Change the tables as a release does, yield the new release's course, and take the change back."""
    old = ProjectState.from_apps(apps)
    new = old.clone()
    operation.state_forwards("academy", new)
    with transaction.atomic():
        with connection.schema_editor() as editor:
            operation.database_forwards("academy", editor, old, new)
        yield new.apps.get_model("academy", "Course")
        transaction.set_rollback(True)


def tried(course: Any, **fields: Any) -> str:
    """Let a release read and insert courses; return what fails."""

    def fails(what: Callable[[], object]) -> bool:
        try:
            with transaction.atomic():
                what()
        except DatabaseError:
            return True
        return False

    words = {
        "reading": fails(lambda: list(course.objects.all())),
        "inserting": fails(lambda: course.objects.create(title="Networks", **NEW, **fields)),
    }
    failed = [word for word, fails_here in words.items() if fails_here]
    return " and ".join(failed) + (" fails" if len(failed) == 1 else " fail") if failed else "works"


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.wrong("lab/ci_cd/deployment_samples.py:wrong_language")
def test_old_code_inserts_into_the_new_table(academy: None, session: Callable[..., None]) -> None:
    session(
        "deployment_insert.pycon",
        released=released,
        wrong_language=wrong_language,
        language=language,
        Course=Course,
        new=NEW,
    )


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_which_code_fits_which_table(people: Any, record: Recorder) -> None:
    Course.objects.update(teacher=people.teacher)  # filled in before null is forbidden
    rows = ["| The release changes | Old code, new table | New code, old table | Order |", "| --- | --- | --- | --- |"]
    found = {}
    for what, operation in CHANGES.items():
        # The release that forbids null fills the column in by itself.
        fields = {"teacher_id": people.teacher.pk} if "teacher" in what else {}
        with released(operation) as new:
            old_code = tried(Course)
        new_code = tried(new, **fields)
        Course.objects.filter(slug="networks").delete()
        fits = [order for order, said in (("migrate first", old_code), ("code first", new_code)) if said == "works"]
        found[what] = fits
        rows.append(f"| {what} | {old_code} | {new_code} | {fits[0] if fits else 'none'} |")
    assert found["add a required column, `default`"] == []
    assert found["add a required column, `db_default`"] == ["migrate first"]
    record("deployment_changes.md", "\n".join(rows))


# Who gets what is new -------------------------------------------------------------------------------

PEOPLE = [f"learner-{number}" for number in range(2000)]


def test_a_share_is_a_share_and_grows() -> None:
    tenth = {who for who in PEOPLE if in_share(who, 10, "badges")}
    assert 140 < len(tenth) < 260
    assert tenth < {who for who in PEOPLE if in_share(who, 30, "badges")}
    assert not any(in_share(who, 0, "badges") for who in PEOPLE)
    assert all(in_share(who, 100, "badges") for who in PEOPLE)
    assert {who for who in PEOPLE if in_share(who, 10, "search")} != tenth  # not always the same people


@pytest.mark.wrong("lab/ci_cd/deployment.py:wrong_in_share")
def test_two_processes_disagree_about_hash() -> None:
    assert any(wrong_in_share(who, 10) for who in PEOPLE)

    def chosen(call: str, seed: str) -> str:
        script = f"from lab.ci_cd.deployment import *; print([n for n in range(2000) if {call}])"
        environ = {"PYTHONHASHSEED": seed, "PATH": ""}
        return subprocess.run(
            [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
        ).stdout

    wrong = "wrong_in_share(f'learner-{n}', 10)"
    assert chosen(wrong, "1") != chosen(wrong, "2")
    right = "in_share(f'learner-{n}', 10, 'badges')"
    assert chosen(right, "1") == chosen(right, "2")


@pytest.mark.wrong("lab/ci_cd/deployment.py:wrong_in_share")
def test_forked_workers_agree_about_hash() -> None:
    script = "import os; child = os.fork(); print(hash('Ama'), flush=True); child and os.waitpid(child, 0)"
    done = subprocess.run([sys.executable, "-c", script], env={}, capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) == 2
    assert len(set(done.stdout.split())) == 1


def test_a_flag_and_its_end() -> None:
    flags = {"badges": Flag("badges", 10, remove_by=datetime.date(2027, 1, 31))}
    assert [who for who in PEOPLE if flags["badges"].on(who)] == [who for who in PEOPLE if in_share(who, 10, "badges")]
    assert overdue(flags, datetime.date(2027, 1, 31)) == []
    assert overdue(flags, datetime.date(2027, 2, 1)) == ["badges"]


# The workflow ---------------------------------------------------------------------------------------

DIGEST = "sha256:" + 32 * "a1"


def dry_run(folder: Path, digest: str) -> list[subprocess.CompletedProcess[str]]:
    """Run the steps of the workflow, with programs that stand in for docker, gh and ssh, until one fails."""
    (folder / "lab/ci_cd/rollback").mkdir(parents=True)
    (folder / "lab/ci_cd/rollback/deploy.sh").touch()
    context = {
        "github": {"repository": "ama/academy", "token": "a-token"},
        "inputs": {"digest": digest},
        "secrets": {"SSH_KEY": "a-key"},
        "vars": {"HOST_KEY": "a-host-key"},
    }
    replaced = stand_ins(folder / "bin", "docker", "gh", "ssh")
    env = {"GITHUB_REPOSITORY": "ama/academy", "GITHUB_ACTOR": "ama"}
    ended = []
    for step in steps(EXAMPLES / "deploy.yml"):
        ended.append(run(step, folder, context, replaced=replaced, env=env))
        if ended[-1].returncode:
            break
    return ended


def test_a_dry_run_of_the_workflow(tmp_path: Path) -> None:
    image = f"ghcr.io/ama/academy@{DIGEST}"
    assert [done.stdout for done in dry_run(tmp_path, DIGEST)] == [
        "(stands in for) docker login ghcr.io --username ama --password-stdin\n"
        f"(stands in for) gh attestation verify oci://{image} --repo ama/academy\n",
        f"(stands in for) ssh deploy@academy.example bash -s -- {image}\n",
    ]
    key = tmp_path / ".ssh/id_ed25519"
    assert key.read_text() == "a-key\n"
    assert key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("digest", ["latest", f"{DIGEST}; reboot", "", f"x{DIGEST}"])
def test_what_is_no_digest_is_refused(tmp_path: Path, digest: str) -> None:
    (refused,) = dry_run(tmp_path, digest)
    assert refused.returncode == 1
    assert refused.stdout == f"this is no digest: {digest}\n"


def test_one_deployment_at_a_time_and_none_is_cut_off() -> None:
    workflow = content(EXAMPLES / "deploy.yml")
    assert workflow["concurrency"] == {"group": "production", "cancel-in-progress": False, "queue": "max"}
    assert workflow["jobs"]["deploy"]["environment"] == "production"
