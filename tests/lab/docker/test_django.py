"""The lab's services together: migrations once, static files, readiness, the worker, copies, another database."""

from __future__ import annotations

import importlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import psycopg
import pytest
import yaml
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from lab.academy.models import Certificate, Course, Enrollment
from lab.academy.tasks import issue_certificates
from lab.docker.django import LOCK, migrate_in_turn, wrong_five_seats
from scripts import services
from scripts.pages import ROOT
from tests import databases
from tests.lab.docker.conftest import docker, until
from tests.lab.marks import recorded_on_5_2
from tests.linters import assert_schema
from tests.recording.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from tests.recording.files import Recorder

    Shell = Callable[..., None]

FOLDER = ROOT / "lab" / "docker" / "django"
BIN = Path(sys.executable).parent
COMPOSE = ("compose.yaml", "compose.override.yaml", "compose.production.yaml")
OURS = ("wrong-start.yaml", "scale.yaml", "mysql.yaml")
MIGRATE = ("lab/manage.py", "migrate", "--no-input")


# On an engine


def clean(printed: str) -> str:
    """Return a session without times, ids, ports and names of the project."""
    printed = re.sub(r"(?m)^\[\S+ \S+: ", "[", printed)
    printed = re.sub(r"(?m)^\[\S+ \S+ \+0000\] ", "", printed)
    printed = re.sub(r"\[[0-9a-f-]{36}\]", "[4f5a…]", printed)
    printed = re.sub(r"in \d[\d.e-]*s: ", "in … s: ", printed)
    printed = re.sub(r"ForkPoolWorker-\d+", "ForkPoolWorker-N", printed)
    printed = re.sub(r"(?m)^.*(Bind for [\d.]+:)\d+( failed: .*)$", r"… \1…\2", printed)
    return re.sub(r"(?m)^(127\.0\.0\.1):\d+$", r"\1:…", printed)


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """What Compose reads: a project of this test, which goes when it ends."""
    name = f"nexus-test-{secrets.token_hex(4)}"
    yield {
        "COMPOSE_PROJECT_NAME": name,
        "COMPOSE_PROGRESS": "quiet",
        "POSTGRES_PASSWORD": "only-for-this-test",
        "SECRET_KEY": secrets.token_hex(32),
        "ALLOWED_HOSTS": "academy.example",
        "PORT": str(services.free_port()),
    }
    docker("compose", "--project-name", name, "down", "--volumes", "--timeout", "1", cwd=Path("/"), check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the Compose files, where the recorded sessions run."""
    for file in (*(ROOT / name for name in COMPOSE), *(FOLDER / name for name in OURS)):
        shutil.copy(file, tmp_path)
    (tmp_path / "lab").symlink_to(ROOT / "lab")
    return tmp_path


@pytest.fixture
def play(folder: Path, docker_shell: Shell, record: Recorder, variables: dict[str, str]) -> Callable[..., str]:
    """``play("up.console", clean=…)`` runs a recorded session in the folder and returns it; more than one a test."""

    def run(name: str, clean: Callable[[str], str] = str, **more: str) -> str:
        shutil.rmtree(folder / ".tools", ignore_errors=True)
        docker_shell(name, clean=clean, **variables, **more)
        return record.path(name).read_text(encoding="utf-8")

    return run


GRADES = "Certificate.objects.all().delete(); Enrollment.objects.update(grade=90)"


@pytest.mark.services
def test_production(image: str, folder: Path, variables: dict[str, str], play: Callable[..., str]) -> None:
    """One start, and all that the page shows of it: it takes its time."""
    files = {"COMPOSE_FILE": "compose.yaml:compose.production.yaml"}

    def run(*words: str) -> str:
        return docker("compose", *words, check=True, cwd=folder, **files, **variables)

    def manage(*words: str) -> str:
        return run("exec", "-T", "web", "python", "lab/manage.py", *words)

    services = play("django_up.console")
    assert re.search(r"(?m)^migrate +exited +0$", services)
    assert re.search(r"(?m)^web +running +healthy +0$", services)
    assert re.search(r"(?m)^worker +running +healthy +0$", services)

    assert play("django_health.console", **files).endswith("400 200\n")

    name = run("exec", "-T", "web", "sh", "-c", "cd lab/staticfiles && ls admin/css/base.*.css").strip()
    address = f"http://127.0.0.1:{variables['PORT']}"
    served = exchange(address, "HEAD", f"/static/{name}", {"Host": "academy.example"})
    assert served.headers("Cache-Control") == [FOREVER]

    manage("seed_academy")
    manage("shell", "--verbosity", "0", "--command", GRADES)
    play("django_task.console", **files)
    until(lambda: "succeeded" in run("logs", "worker"))
    log = play("django_done.console", clean=clean, **files)
    assert re.search(r"MainProcess\] Task .* received\n", log)
    assert re.search(r"ForkPoolWorker-N\] Task .* succeeded .*: \d\d\n", log)

    scaled = play("django_scale.console", clean=clean, **files)
    assert "port is already allocated" in scaled
    assert scaled.count("\n127.0.0.1:…") == 2


@pytest.mark.services
def test_a_missing_variable_is_one_line(image: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("django_missing.console", clean=clean)
    said = record.path("django_missing.console").read_text(encoding="utf-8")
    assert said.count("SECRET_KEY is not set.") == 2


@pytest.mark.services
def test_mysql_takes_the_place(image: str, play: Callable[..., str]) -> None:
    """MySQL, migrated and with learners; a dump of it, for the page about backups."""
    passwords = {"MYSQL_PASSWORD": "only-for-this-test", "MYSQL_ROOT_PASSWORD": secrets.token_hex(16)}
    said = play("django_mysql.console", **passwords)
    assert said.count("[X]") == said.count("[") == 4
    assert said.endswith("\n200\n")
    files = {"COMPOSE_FILE": "compose.yaml:compose.override.yaml:mysql.yaml", **passwords}
    dumped = play("backups_mysql.console", **files)
    assert re.findall(r"(?m)^\d+$", dumped) == ["185", "185"]


# Without an engine

FOREVER = "max-age=315360000, public, immutable"


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@recorded_on_5_2("the admin's style sheet is another one, and so its hash")
@pytest.mark.django_db
def test_static_files_with_a_hash_are_kept_forever(settings: Settings, tmp_path: Path, record: Recorder) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.ALLOWED_HOSTS = ["academy.example"]
    settings.SECURE_SSL_REDIRECT = False
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    [hashed] = [file.name for file in tmp_path.glob("admin/css/base.*.css")]
    sys.modules.pop("lab.docker.wsgi", None)
    application = importlib.import_module("lab.docker.wsgi").application
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        host = {"Host": "academy.example"}
        named = exchange(address, "HEAD", f"/static/admin/css/{hashed}", host)
        plain = exchange(address, "HEAD", "/static/admin/css/base.css", host)
        missing = exchange(address, "HEAD", "/static/admin/css/nothing.css", host)
        server.shutdown()
    del sys.modules["lab.docker.wsgi"]
    assert named.headers("Cache-Control") == [FOREVER]
    assert plain.headers("Cache-Control") == ["max-age=60, public"]
    assert missing.status == 404
    shown = (line for answer in (named, plain) for line in [*answer.text.splitlines(), ""] if wanted(line))
    record("django_static.http", "\n".join(shown))


def wanted(line: str) -> bool:
    """Whether a line belongs on the page: no dates, no sizes."""
    return not line.startswith(("Date:", "Server:", "Last-Modified:", "ETag:", "Content-Length:", "Connection:"))


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_a_task_run_twice_is_run_once(academy: None) -> None:
    course = Course.objects.first()
    assert course
    Certificate.objects.all().delete()
    seats = Enrollment.objects.filter(course=course).update(grade=90)
    assert issue_certificates(course.pk) == seats > 0
    assert issue_certificates(course.pk) == 0


def plain_yaml(name: str) -> str:
    """Return a Compose file without the tags that only Compose knows."""
    return re.sub(r" !(override|reset)\b", "", (FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", OURS)
def test_the_compose_files_satisfy_the_schema(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(plain_yaml(name))
    assert_schema("vendor.compose-spec", tmp_path / name)


@contextmanager
def empty() -> Iterator[str]:
    """Make a database with nothing in it; yield its URL."""
    server, name = databases.address(), f"nexus_migrate_{secrets.token_hex(4)}"
    with closing(psycopg.connect(server, autocommit=True)) as server_side:
        server_side.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            server_side.execute(f"DROP DATABASE {name} WITH (FORCE)")


def last(text: str) -> str:
    """Return the error that a process ended with, or its last line."""
    lines = text.strip().splitlines()
    errors = [line for line in lines if re.match(r"[a-z][\w.]+\.[A-Z]\w+: ", line)]
    return [*lines, *errors][-1].strip()


SETTINGS = {"DJANGO_SETTINGS_MODULE": "lab.settings", "DEBUG": "true", "PYTHONPATH": str(ROOT)}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def together(url: str, hold: str, *command: str, waiting: str = WAITING, **variables: str) -> list[tuple[int, str]]:
    """Run a command in two processes that reach one statement at the same moment.

    Args:
        url: The database.
        hold: What a transaction does first; both processes wait for it, then it is rolled back.
        command: What Python runs.
        waiting: Counts the processes that wait.
        variables: Further environment variables.

    Returns:
        The status and the last line of each, the successful one first.
    """
    environ = {**os.environ, **SETTINGS, "DATABASE_URL": url, **variables}

    def start() -> subprocess.Popen[str]:
        words = [sys.executable, *command]
        return subprocess.Popen(
            words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    with (
        closing(psycopg.connect(url)) as gate,
        closing(psycopg.connect(url, autocommit=True)) as watch,
    ):
        gate.execute(hold)
        with start() as one, start() as other:
            both = [one, other]
            try:
                until(lambda: watch.execute(waiting).fetchone() == (2,))
            finally:
                gate.rollback()
            said = [process.communicate(timeout=60)[0] for process in both]
    return sorted((process.returncode, last(text)) for process, text in zip(both, said, strict=True))


TABLE = "CREATE TABLE django_migrations (id bigint)"
NOTED = "SELECT count(*) FROM django_migrations WHERE app = 'raise_seats'"
ROWS = "SELECT FROM academy_course FOR UPDATE"


def more_migrations(folder: Path, migration: str) -> dict[str, str]:
    """Write an app with one migration; return the variables that make Django find it."""
    app = folder / "raise_seats" / "migrations"
    app.mkdir(parents=True)
    for path in (app, app.parent):
        (path / "__init__.py").touch()
    (app / "0001_five_seats.py").write_text(migration)
    (folder / "more_settings.py").write_text(
        "from lab.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'raise_seats']\n"
    )
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "DJANGO_SETTINGS_MODULE": "more_settings"}


@pytest.mark.wrong("lab/docker/django/wrong-start.yaml:wrong_start")
@pytest.mark.wrong("lab/docker/django.py:wrong_five_seats")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_two_copies_migrate_at_once(academy: None, tmp_path: Path, record: Recorder) -> None:
    web = yaml.safe_load((FOLDER / "wrong-start.yaml").read_text())["services"]["web"]["command"]
    assert web[-1].startswith(f"python {' '.join(MIGRATE)} && exec gunicorn")
    found = more_migrations(tmp_path, FIVE_SEATS)
    with empty() as url:
        tables = together(url, TABLE, *MIGRATE)
        assert [status for status, _ in tables] == [0, 1]
        assert "duplicate key value" in tables[1][1]
        with closing(psycopg.connect(url, autocommit=True)) as later:
            later.execute(COURSE)
            rows = together(url, ROWS, *MIGRATE, **found)
            [seats] = later.execute("SELECT seats FROM academy_course").fetchone() or ()
            [noted] = later.execute(NOTED).fetchone() or ()
    assert [status for status, _ in rows] == [0, 0]
    assert (seats, noted) == (40, 2)
    said = [
        "two copies, an empty database",
        *(f"  exit status {status}: {line}" for status, line in tables),
        "two copies, a migration that gives a course of 30 seats five more",
        *(f"  exit status {status}: {line.strip()}" for status, line in rows),
        f"  seats: {seats}, rows in django_migrations: {noted}",
    ]
    record("django_race.txt", "\n".join(said))


FIVE_SEATS = """
from django.db import migrations
from lab.docker.django import wrong_five_seats

class Migration(migrations.Migration):
    dependencies = [("academy", "0004_course_slug_required")]
    operations = [migrations.RunPython(wrong_five_seats)]
"""
COURSE = """
INSERT INTO academy_course (title, slug, description, level, seats, published, starts_on, ends_on)
VALUES ('Docker', 'docker', '', 'beginner', 30, true, '2026-01-05', '2026-02-02')
"""


@pytest.mark.django_db
def test_the_migration_adds_five_seats(academy: None) -> None:
    before = Course.objects.values_list("seats", flat=True)[0]
    wrong_five_seats(apps, None)
    assert Course.objects.values_list("seats", flat=True)[0] == before + 5


INDEX = """
from django.db import migrations

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("academy", "0004_course_slug_required")]
    operations = [migrations.RunSQL("CREATE INDEX CONCURRENTLY ON academy_course (title)")]
"""
ASKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND query LIKE 'SELECT pg_try_advisory_lock%'
"""


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_in_turn_both_succeed(tmp_path: Path) -> None:
    """One copy makes an index concurrently while the other one asks for the lock."""
    found = more_migrations(tmp_path, INDEX)
    with empty() as url:
        hold = f"SELECT pg_advisory_xact_lock({LOCK})"
        done = together(url, hold, "-m", "lab.docker.django", waiting=ASKED, **found)
    assert [status for status, _ in done] == [0, 0]
    assert sorted("No migrations to apply." in line for _, line in done) == [False, True]


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_who_comes_second_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(psycopg.connect(databases.address(), dbname=connection.settings_dict["NAME"])) as first:
        first.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            first.rollback()

        monkeypatch.setattr("lab.docker.django.time.sleep", sleep)
        migrate_in_turn()
    assert slept == [1]


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_a_lock_that_waits_in_the_database_meets_a_deadlock() -> None:
    """Why ``migrate_in_turn`` asks again."""
    with (
        empty() as url,
        closing(psycopg.connect(url, autocommit=True)) as first,
        closing(psycopg.connect(url, autocommit=True)) as second,
        closing(psycopg.connect(url, autocommit=True)) as watch,
    ):
        first.execute("CREATE TABLE course (title text)")
        first.execute("SET deadlock_timeout = '100ms'")
        first.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        waiter = threading.Thread(target=second.execute, args=("SELECT pg_advisory_lock(%s)", [LOCK]))
        waiter.start()
        try:
            until(lambda: watch.execute(WAITING).fetchone() == (1,))
            with pytest.raises(psycopg.errors.DeadlockDetected, match="deadlock detected"):
                first.execute("CREATE INDEX CONCURRENTLY ON course (title)")
        finally:
            first.close()
            waiter.join()
