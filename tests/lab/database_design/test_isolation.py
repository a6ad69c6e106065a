"""What another transaction may see and spoil at each level, tried on two servers; and what keeps it out."""

from __future__ import annotations

import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, connections, transaction

from lab.academy.models import Course, Tag
from lab.academy.seed import seed
from lab.database_design.isolation import (
    LastCourseError,
    TooBusyError,
    change_compared,
    change_computed,
    change_locked,
    change_serializable,
    close,
    close_locked,
    is_conflict,
    serializable,
    wrong_close,
)
from scripts.pages import ROOT
from tests.lab.database_design.two import Person, Schedule, people, race
from tests.recording.chart import Measurement
from tests.recording.versions import server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
SERVERS = pytest.mark.databases("postgresql", "mariadb")
SCRIPT = (ROOT / "lab/database_design/isolation.sql").read_text(encoding="utf-8")
SCHEDULES = dict(re.findall(r"^-- ([\w -]+)\n((?:/\*.+\n)+)", SCRIPT, re.MULTILINE))
LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
SNAPSHOT = "SET SESSION innodb_snapshot_isolation = ON"


def run(name: str, level: str, *first: str) -> Schedule:
    """Run a schedule in a catalog where Python has 25 seats, and Django and Docker are the open advanced courses."""
    Course.objects.filter(slug="python").update(seats=25)
    Course.objects.filter(slug="security").update(published=False)
    Course.objects.filter(slug__in=["django", "docker"]).update(published=True)
    Tag.objects.filter(name="cloud").delete()
    return Schedule(SCHEDULES[name]).run(level, *first)


def happened(name: str, done: Schedule) -> bool:
    """Say whether the anomaly was there."""
    ama = done.answers["Ama"]
    if name == "dirty read":
        return bool(ama == [99])
    if name in {"non-repeatable read", "phantom"}:
        return bool(ama[0] != ama[1])
    if name == "lost update":
        return not done.errors and Course.objects.get(slug="python").seats == 35
    return not Course.objects.filter(level="advanced", published=True).exists()


ANOMALIES = ("dirty read", "non-repeatable read", "phantom", "lost update", "write skew")


def outcome(name: str, level: str, *first: str) -> str:
    """Return what becomes of an anomaly at a level, in a word or two."""
    done = run(name, level, *first)
    if happened(name, done):
        return "**happens**"
    if done.errors:
        return "error"
    return "no, waits" if done.waited else "no"


EXPECTED = {
    "postgresql": {
        "READ UNCOMMITTED": ["no", "**happens**", "**happens**", "**happens**", "**happens**"],
        "READ COMMITTED": ["no", "**happens**", "**happens**", "**happens**", "**happens**"],
        "REPEATABLE READ": ["no", "no", "no", "error", "**happens**"],
        "SERIALIZABLE": ["no", "no", "no", "error", "error"],
    },
    "mariadb": {
        "READ UNCOMMITTED": ["**happens**", "**happens**", "**happens**", "**happens**", "**happens**"],
        "READ COMMITTED": ["no", "**happens**", "**happens**", "**happens**", "**happens**"],
        "REPEATABLE READ": ["no", "no", "no", "**happens**", "**happens**"],
        "REPEATABLE READ, snapshot": ["no", "no", "no", "error", "**happens**"],
        "SERIALIZABLE": ["no, waits", "no, waits", "no, waits", "error", "error"],
    },
}
TITLES = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}
TABLES = {"postgresql": "isolation_postgresql.md", "mariadb": "isolation_mariadb.md"}


@TOGETHER
@SERVERS
def test_each_anomaly_at_each_level(academy: None, record: Recorder, database: str) -> None:
    found = {}
    for level in EXPECTED[database]:
        name, _, snapshot = level.partition(", ")
        found[level] = [outcome(anomaly, name, *([SNAPSHOT] if snapshot else [])) for anomaly in ANOMALIES]
    assert found == EXPECTED[database]
    rows = [[level.capitalize(), *cells] for level, cells in found.items()]
    table = [[TITLES[database], *ANOMALIES], ["---"] * 6, *rows]
    record(TABLES[database], "\n".join(f"| {' | '.join(row)} |" for row in table))


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_records_of_the_anomalies(academy: None, record: Recorder) -> None:
    record("isolation_lost.txt", run("lost update", "READ COMMITTED").text)
    record("isolation_refused.txt", run("lost update", "REPEATABLE READ").text)
    record("isolation_skew.txt", run("write skew", "REPEATABLE READ").text)
    record("isolation_caught.txt", run("write skew", "SERIALIZABLE").text)


@TOGETHER
@pytest.mark.databases("mariadb")
def test_a_transaction_of_innodb_has_two_views(academy: None, record: Recorder) -> None:
    done = run("two views", "REPEATABLE READ")
    assert done.answers["Ama"] == [25, 25, 30, 25]
    record("isolation_two_views.txt", done.text)
    assert run("two views", "REPEATABLE READ", SNAPSHOT).errors == {"Ama": "1020"}
    assert outcome("lost update", "READ COMMITTED", SNAPSHOT) == "**happens**"


@TOGETHER
@pytest.mark.databases("postgresql")
def test_a_transaction_of_postgresql_has_one_view(academy: None) -> None:
    assert run("two views", "REPEATABLE READ").errors == {"Ama": "40001"}


# What Django sets


def level() -> str:
    """Return the isolation level of this connection."""
    with connection.cursor() as cursor:
        name = "transaction_isolation" if connection.vendor == "postgresql" else "@@tx_isolation"
        cursor.execute(f"SHOW {name}" if connection.vendor == "postgresql" else f"SELECT {name}")
        return str(cursor.fetchone()[0]).lower().replace("-", " ")


def server_level() -> str:
    """Return the isolation level that the server gives to who asks for none."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_isolation'")
        else:
            cursor.execute("SELECT @@global.tx_isolation")
        return str(cursor.fetchone()[0]).lower().replace("-", " ")


@TOGETHER
@SERVERS
def test_the_level_that_django_sets(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = {"postgresql": "read committed", "mariadb": "repeatable read"}[database]
    assert (server_level(), level()) == (default, "read committed")
    wanted: Any = "serializable"
    if database == "postgresql":
        from psycopg import IsolationLevel

        wanted = IsolationLevel.SERIALIZABLE
    config = connections.settings["default"]
    monkeypatch.setitem(config, "OPTIONS", {**config["OPTIONS"], "isolation_level": wanted})

    def elsewhere() -> str:
        try:
            with transaction.atomic():
                return level()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(elsewhere).result() == "serializable"
        monkeypatch.setitem(config, "OPTIONS", {**config["OPTIONS"], "isolation_level": "snapshot"})
        with pytest.raises(ImproperlyConfigured, match="isolation level"):
            pool.submit(elsewhere).result()


@TOGETHER
@pytest.mark.databases("mariadb")
def test_django_leaves_the_level_of_mariadb_alone_when_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    config = connections.settings["default"]
    monkeypatch.setitem(config, "OPTIONS", {**config["OPTIONS"], "isolation_level": None})

    def elsewhere() -> str:
        try:
            return level()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(elsewhere).result() == "repeatable read"


# One open course of each level


def two_open() -> tuple[Course, Course]:
    """Return the two advanced courses that are open."""
    Course.objects.filter(level="advanced").update(published=False)
    Course.objects.filter(slug__in=["django", "docker"]).update(published=True)
    django, docker = Course.objects.filter(level="advanced", published=True).order_by("slug")
    return django, docker


def still_open() -> int:
    """Return how many advanced courses are open."""
    return Course.objects.filter(level="advanced", published=True).count()


REFUSED = "one course of each level stays open"


@TOGETHER
@pytest.mark.wrong("lab/database_design/isolation.py:wrong_close")
@SERVERS
def test_both_close_a_course_because_the_other_is_open(academy: None) -> None:
    django, docker = two_open()
    assert race(wrong_close, (django,), (docker,), before="UPDATE") == ["done", "done"]
    assert still_open() == 0
    with pytest.raises(LastCourseError):
        wrong_close(django)


@TOGETHER
@SERVERS
def test_a_lock_on_what_was_read_lets_one_of_them(academy: None) -> None:
    django, docker = two_open()
    assert race(close_locked, (django,), (docker,), before="UPDATE") == ["done", REFUSED]
    assert still_open() == 1


@TOGETHER
@SERVERS
def test_serializable_lets_one_of_them(academy: None) -> None:
    django, docker = two_open()
    assert race(close, (django.pk,), (docker.pk,), before="UPDATE") == ["done", REFUSED]
    assert still_open() == 1


@TOGETHER
@SERVERS
def test_serializable_needs_everybody(academy: None) -> None:
    django, docker = two_open()

    def call(function: Callable[[Any], None], course: Any) -> None:
        function(course)

    assert race(call, (close, django.pk), (wrong_close, docker), before="UPDATE") == ["done", "done"]
    assert still_open() == 0


@TOGETHER
@SERVERS
def test_what_serializable_runs_has_that_level_and_no_transaction_around_it(academy: None, database: str) -> None:
    @serializable
    def inside() -> str:
        Course.objects.first()  # MariaDB's transaction begins with the first table
        if database == "postgresql":
            return level()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT trx_isolation_level FROM information_schema.innodb_trx"
                " WHERE trx_mysql_thread_id = connection_id()"
            )
            return str(cursor.fetchone()[0]).lower()

    assert (inside(), level()) == ("serializable", "read committed")
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        inside()


@TOGETHER
@SERVERS
def test_without_the_retry_one_of_them_gets_an_error(academy: None, database: str) -> None:
    done = run("write skew", "SERIALIZABLE")
    assert list(done.errors.values()) == [{"postgresql": "40001", "mariadb": "1213"}[database]]


RAISED = {
    "postgresql": "DO $$ BEGIN RAISE SQLSTATE '{}'; END $$",
    "mariadb": "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {}, MESSAGE_TEXT = 'raised'",
}
ERRORS = {"postgresql": {"40001": 5, "40P01": 5, "55P03": 1}, "mariadb": {"1213": 5, "1020": 5, "1205": 1}}


@TOGETHER
@SERVERS
def test_a_conflict_is_tried_five_times_and_other_errors_once(db: None, database: str) -> None:
    tries = []

    @serializable
    def fail(number: str) -> None:
        tries.append(number)
        with connection.cursor() as cursor:
            cursor.execute(RAISED[database].format(number))

    for number in ERRORS[database]:
        with pytest.raises(OperationalError) as caught:
            fail(number)
        assert is_conflict(caught.value) == (ERRORS[database][number] == 5)
    assert {number: tries.count(number) for number in ERRORS[database]} == ERRORS[database]


# Four ways to change a number

WAYS: dict[str, Callable[[int, Callable[[], int]], None]] = {
    "the database computes": change_computed,
    "lock": change_locked,
    "compare and set": change_compared,
    "serializable": change_serializable,
}
WRITERS = (1, 2, 4, 8, 16)
WORK = 0.005  # seconds between reading and writing


@TOGETHER
@SERVERS
def test_five_times_somebody_else_was_faster(academy: None) -> None:
    python = Course.objects.get(slug="python")
    times = 0

    def meanwhile() -> int:
        nonlocal times
        times += 1
        Course.objects.filter(pk=python.pk).update(seats=python.seats + times)
        return 1

    with pytest.raises(TooBusyError):
        change_compared(python.pk, meanwhile)
    assert times == 5


@TOGETHER
@SERVERS
def test_compare_and_set_inside_a_snapshot_never_succeeds(academy: None, database: str) -> None:
    python = Course.objects.get(slug="python")
    tries: list[int] = []

    def inside(kofi: Person) -> None:
        def meanwhile() -> int:
            if not tries:
                kofi.sql("UPDATE academy_course SET seats = 1 WHERE slug = 'python'")
            tries.append(1)
            return 1

        with transaction.atomic():
            change_compared(python.pk, meanwhile)

    with people("Ama", "Kofi") as (ama, kofi):
        session = "SESSION CHARACTERISTICS AS" if database == "postgresql" else "SESSION"
        ama.sql(f"SET {session} TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(OperationalError if database == "postgresql" else TooBusyError):
            ama.do(inside, kofi)
    assert len(tries) == (1 if database == "postgresql" else 5)


def load(change: Callable[[int, Callable[[], int]], None], rows: int, writers: int, seconds: float) -> dict[str, float]:
    """Let writers change the seats of random courses all the time; return what they did in each second.

    The result has the changes that were made, the tries for each, and how many changes were lost.
    """
    keys = list(Course.objects.order_by("pk").values_list("pk", flat=True)[:rows])
    Course.objects.update(seats=1)
    start = threading.Barrier(writers)
    over = threading.Event()

    def write(number: int) -> tuple[int, int, float]:
        chance = random.Random(number)  # noqa: S311 - which course it is needs no secret
        done = tries = 0

        def more() -> int:
            nonlocal tries
            tries += 1
            time.sleep(WORK)
            return 1

        try:
            connection.ensure_connection()
            start.wait(30)
            began = time.perf_counter()
            while not over.is_set():
                try:
                    change(chance.choice(keys), more)
                except TooBusyError:
                    pass
                except OperationalError as error:
                    if not is_conflict(error):
                        raise
                else:
                    done += 1
                if time.perf_counter() - began >= seconds:
                    over.set()
            return done, tries, time.perf_counter() - began
        finally:
            connection.close()

    with ThreadPoolExecutor(writers) as pool:
        counts = list(pool.map(write, range(writers)))
    done, tries = sum(count[0] for count in counts), sum(count[1] for count in counts)
    taken = max(count[2] for count in counts)
    added = sum(Course.objects.values_list("seats", flat=True)) - Course.objects.count()
    return {"changes": done / taken, "tries": tries / max(done, 1), "lost": done - added}


@cache
def measure() -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return the changes a second on one row and on a hundred."""
    seed(courses=100, learners=1, per_learner=0)
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {"row": {}, "rows": {}}
    for rows, name in ((1, "row"), (100, "rows")):
        for writers in WRITERS:
            runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(3):
                for way, change in WAYS.items():
                    runs[way].append(load(change, rows, writers, seconds=1))
                    assert runs[way][-1]["lost"] == 0
            for way, found in runs.items():
                lines[name].setdefault(way, []).append((writers, round(median(run["changes"] for run in found))))
    return lines


@pytest.mark.measures("isolation")
@TOGETHER
@pytest.mark.databases("postgresql")
def test_what_each_way_costs(measured: Callable[..., Measurement]) -> None:
    def series(name: str, title: str, y: str) -> Callable[[], Measurement]:
        return lambda: Measurement(
            title=title,
            description=f"{title}, with 1 to 16 writers, for four ways to keep them apart.",
            x="writers at the same time",
            y=y,
            versions={
                "Django": version("django"),
                "psycopg": version("psycopg"),
                "PostgreSQL": server().removeprefix("PostgreSQL "),
            },
            lines=measure()[name],
        )

    row = measured("isolation_row.json", series("row", "Changes of one row", "changes a second, one row"))
    rows = measured("isolation_rows.json", series("rows", "Changes of many rows", "changes a second, 100 rows"))
    computed, *others = [dict(line) for line in row.lines.values()]
    assert len(others) == 3
    for line in others:  # sixteen writers are no faster than one, and the database is
        assert line[16] < 1.5 * line[1]
        assert computed[16] > 5 * line[16]
    assert computed[16] > 4 * computed[1]
    for points in rows.lines.values():  # on many rows everybody gains from more writers
        assert points[-1][1] > 3 * points[0][1]


@TOGETHER
@SERVERS
@pytest.mark.parametrize("way", WAYS)
def test_no_change_is_lost_in_any_way_and_two_of_them_work_in_vain(academy: None, way: str) -> None:
    found = load(WAYS[way], rows=1, writers=8, seconds=0.5)
    assert found["lost"] == 0
    if way in {"the database computes", "lock"}:
        assert found["tries"] == 1
    else:
        assert found["tries"] > 1.2, "several, if nothing else runs on the machine"
