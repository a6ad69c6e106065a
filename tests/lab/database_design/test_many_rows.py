"""Reading many rows, walking over them while they change, writing them, and deleting them in parts."""

from __future__ import annotations

import datetime
import gc
import io
import json
import subprocess
import sys
import time
from contextlib import closing
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.core.management.color import no_style
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.db.models import Value
from django.db.models.functions import Concat
from django.test.utils import CaptureQueriesContext

from lab.academy.models import Certificate, Course, Enrollment, Learner, Lesson
from lab.database_design import many_rows_samples
from lab.database_design.many_rows import (
    batches,
    close,
    copy,
    export,
    export_in_batches,
    forget,
    open_cursors,
    store,
    wrong_close,
    wrong_export,
    wrong_export_by_offset,
    wrong_forget,
    wrong_store,
)
from scripts.pages import ROOT
from tests import databases
from tests.lab.database_design.plans import nodes, tree
from tests.lab.database_design.two import people
from tests.lab.production import PRODUCTION, kept
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

ON_POSTGRESQL = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
DAY = datetime.date(2026, 11, 23)
LEARNERS = {
    "postgresql": "INSERT INTO academy_learner (id, name, email, joined_on) "
    "SELECT n, 'Learner ' || n, 'learner-' || n || '@example.com', '2026-01-05' FROM generate_series(1, %s) AS n",
    "mysql": "INSERT INTO academy_learner (id, name, email, joined_on) "
    "SELECT seq, CONCAT('Learner ', seq), CONCAT('learner-', seq, '@example.com'), '2026-01-05' "
    "FROM seq_1_to_1000000 WHERE seq <= %s",
}


def learners(rows: int) -> None:
    """Insert learners numbered from 1."""
    with connection.cursor() as cursor:
        cursor.execute(LEARNERS[connection.vendor], [rows])
        for statement in connection.ops.sequence_reset_sql(no_style(), [Learner]):
            cursor.execute(statement)


def new(rows: int) -> list[Learner]:
    """Return learners that are not stored yet."""
    return [Learner(name="Aba", email=f"aba-{n}@example.com", joined_on=DAY) for n in range(rows)]


# Reading


@pytest.mark.databases
def test_every_way_reads_the_same(academy: None) -> None:
    found = set()
    for way in (wrong_export, export, export_in_batches, wrong_export_by_offset):
        out = io.StringIO()
        way(Learner.objects.order_by("pk"), out)
        found.add(out.getvalue())
    assert len(found) == 1
    assert found.pop().count("\n") == 10
    assert [len(batch) for batch in batches(Learner.objects.all(), 4)] == [4, 4, 2]
    assert list(batches(Learner.objects.none(), 4)) == []


@TOGETHER
@ON_POSTGRESQL
def test_the_record_of_a_cursor(academy: None, session: Session) -> None:
    session("many_rows_cursor.pycon", Learner=Learner, open_cursors=open_cursors, transaction=transaction)


@TOGETHER
@ON_POSTGRESQL
def test_a_setting_for_poolers_turns_the_cursor_off(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> int:
        rows = Learner.objects.iterator(chunk_size=1)
        next(rows)
        found = len(open_cursors())
        with closing(rows):  # type: ignore[type-var]  # a generator
            return found

    assert seen() == 1
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert seen() == 0


@ON_POSTGRESQL
def test_the_record_of_a_prefetch(academy: None, session: Session) -> None:
    session(
        "many_rows_prefetch.pycon", CaptureQueriesContext=CaptureQueriesContext, Course=Course, connection=connection
    )


@pytest.mark.databases("mariadb")
def test_mariadb_sends_everything_at_once(academy: None) -> None:
    """Django asks for no cursor at the server (SSCursor): all rows are in the client at the first."""
    with connection.chunked_cursor() as cursor:
        cursor.execute("SELECT id FROM academy_learner")
        assert type(cursor.cursor.cursor).__name__ == "Cursor"
        assert len(cursor.cursor.cursor._rows) == 10


# Walking while the rows change


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/many_rows.py:wrong_close")
def test_an_offset_skips_what_moves_up(academy: None, session: Session) -> None:
    session("many_rows_close.pycon", Enrollment=Enrollment, close=close, wrong_close=wrong_close)


@ON_POSTGRESQL
def test_the_record_of_rows_read(db: None, record: Recorder) -> None:
    """The rows that the steps of all plans of a walk met, the index alone."""
    lines = ["| Learners | Rows read, by key | Rows read, by `OFFSET` |", "| ---: | ---: | ---: |"]
    learners(20_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE academy_learner")
    for rows in (2_000, 20_000):
        read = []
        for way in (export_in_batches, wrong_export_by_offset):
            with queries() as sent:
                way(Learner.objects.filter(pk__lte=rows), io.StringIO())
            pages = [sql for sql in sent.statements if "LIMIT" in sql]
            scans = [node for sql in pages for node in nodes(tree(sql)) if "Relation Name" in node]
            assert all(scan["Node Type"] == "Index Scan" for scan in scans)
            read.append(int(sum(scan["Actual Rows"] for scan in scans)))
        lines.append(f"| {rows:,} | {read[0]:,} | {read[1]:,} |")
    record("many_rows_walk.md", "\n".join(lines))
    assert read == [20_000, 210_000]


# Writing


@ON_POSTGRESQL
def test_the_record_of_bulk_update(academy: None, record: Recorder) -> None:
    some = list(Enrollment.objects.order_by("pk")[:3])
    for number, enrollment in enumerate(some):
        enrollment.grade = 70 + number
    with queries() as sent:
        Enrollment.objects.bulk_update(some, ["grade"])
    record("many_rows_bulk_update.sql", sent.text)


@TOGETHER
@ON_POSTGRESQL
def test_the_record_of_copy(academy: None, session: Session) -> None:
    session(
        "many_rows_copy.pycon",
        CaptureQueriesContext=CaptureQueriesContext,
        IntegrityError=IntegrityError,
        Learner=Learner,
        connection=connection,
        copy=copy,
    )


@ON_POSTGRESQL
def test_copy_meets_conflicts_by_way_of_a_table(academy: None) -> None:
    """COPY has no ON CONFLICT: what it brings goes into a temporary table first."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE coming (LIKE academy_learner INCLUDING DEFAULTS) ON COMMIT DROP")
        cursor.execute("ALTER TABLE coming ALTER id DROP NOT NULL")
        with cursor.copy("COPY coming (name, email, joined_on) FROM STDIN") as rows:
            rows.write_row(("Ama A.", "ama@example.com", DAY))
        cursor.execute(
            "INSERT INTO academy_learner (name, email, joined_on) SELECT name, email, joined_on FROM coming "
            "ON CONFLICT (email) DO UPDATE SET name = EXCLUDED.name"
        )
    assert Learner.objects.get(email="ama@example.com").name == "Ama A."
    assert Learner.objects.count() == 10


@ON_POSTGRESQL
def test_copy_knows_no_default_of_django(academy: None) -> None:
    with (
        pytest.raises(Exception, match=r"null value in column .joined_on."),
        connection.cursor() as cursor,
        cursor.copy("COPY academy_learner (name, email) FROM STDIN") as rows,
    ):
        rows.write_row(("Aba", "aba@example.com"))


def caching() -> tuple[Learner, Course]:
    """Return Ama and a course that she takes."""
    return Learner.objects.get(name="Ama"), Course.objects.get(slug="caching")


@TOGETHER
@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/many_rows.py:wrong_store")
def test_the_record_of_a_key_that_comes_twice(academy: None, session: Session) -> None:
    ama, course = caching()
    session(
        "many_rows_store.pycon",
        Enrollment=Enrollment,
        ama=ama,
        caching=course,
        store=store,
        wrong_store=wrong_store,
    )


@pytest.mark.databases
def test_an_upsert_on_every_database(academy: None, database: str, record: Recorder) -> None:
    ama, course = caching()
    kofi = Learner.objects.get(name="Kofi")
    Enrollment.objects.filter(learner=kofi, course=course).delete()
    before = Enrollment.objects.count()
    rows = [
        Enrollment(learner=ama, course=course, grade=91, enrolled_on=DAY),
        Enrollment(learner=kofi, course=course, grade=92, enrolled_on=DAY),
    ]
    with queries() as sent:
        store(rows)
    assert Enrollment.objects.count() == before + 1
    assert dict(course.enrollments.values_list("learner__name", "grade")).items() >= {"Ama": 91, "Kofi": 92}.items()
    assert Enrollment.objects.get(learner=ama, course=course).enrolled_on != DAY, "not in update_fields"
    assert [row.pk for row in rows] == [Enrollment.objects.get(learner=one, course=course).pk for one in (ama, kofi)]
    if database == "mariadb":
        sql = next(line for line in sent.text.split("\n\n") if line.startswith("INSERT"))
        for number, one in enumerate((ama, kofi), 1):  # the keys depend on the tests before
            sql = sql.replace(f"({one.pk}, {course.pk}, ", f"({number}, 7, ")
        record("many_rows_upsert.sql", sql)


@pytest.mark.databases
def test_a_key_twice_in_one_call(academy: None, database: str) -> None:
    ama, course = caching()
    twice = [Enrollment(learner=ama, course=course, grade=grade) for grade in (60, 70)]
    target = None if database == "mariadb" else ["learner", "course"]
    options: dict[str, Any] = {"update_conflicts": True, "update_fields": ["grade"], "unique_fields": target}
    if database == "postgresql":
        with pytest.raises(ProgrammingError, match="a second time"):
            Enrollment.objects.bulk_create(twice, **options)
        return
    Enrollment.objects.bulk_create(twice, **options)
    assert Enrollment.objects.get(learner=ama, course=course).grade == 70


@pytest.mark.databases("mariadb")
def test_any_unique_key_counts_on_mariadb(academy: None) -> None:
    """The new learner's address is free; the key that was given by hand is not, and Ama's name is gone."""
    ama = Learner.objects.get(name="Ama")
    stray = Learner(pk=ama.pk, name="Aba", email="aba@example.com")
    Learner.objects.bulk_create([stray], update_conflicts=True, update_fields=["name"])
    ama.refresh_from_db()
    assert (ama.name, ama.email) == ("Aba", "ama@example.com")


@pytest.mark.databases
def test_sqlite_takes_few_parameters(academy: None, database: str) -> None:
    lessons = [Lesson(course_id=1, position=n, title="Part") for n in range(100, 1100)]
    Lesson.objects.filter(course_id=1).delete()
    course = Course.objects.first()
    for lesson in lessons:
        lesson.course = course  # type: ignore[assignment]
    with queries() as sent:
        Lesson.objects.bulk_create(lessons)
    number = sum(statement.startswith("INSERT") for statement in sent.statements)
    if database == "sqlite":
        assert number == 5 or django.VERSION >= (6, 0)
    else:
        assert number == 1


# Deleting


@TOGETHER
@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/many_rows.py:wrong_forget")
@pytest.mark.parametrize(("delete", "waiting"), [(wrong_forget, True), (forget, False)])
def test_batches_in_one_transaction_keep_their_locks(
    academy: None, delete: Callable[..., Iterator[int]], waiting: bool
) -> None:
    first = Certificate.objects.order_by("pk")[0]
    total = Certificate.objects.count()
    assert total > 2
    with people("Ama", "Kofi") as (ama, kofi):
        deleting = delete(datetime.date(2100, 1, 1), 1)
        assert ama.do(next, deleting) == 1
        kofi.start(lambda: Certificate.objects.filter(pk=first.pk).update(issued_on=DAY))
        assert kofi.waiting is waiting
        assert ama.do(list, deleting) == [1] * (total - 1)
        assert not kofi.waiting
    assert not Certificate.objects.exists()


@ON_POSTGRESQL
def test_the_record_of_a_delete(academy: None, record: Recorder) -> None:
    Certificate.objects.all().delete()
    with queries() as sent:
        Learner.objects.filter(name__in=["Ama", "Kofi"]).delete()
    record("many_rows_delete.sql", sent.text)
    with pytest.raises(TypeError, match="Cannot use 'limit' or 'offset' with delete"):
        Learner.objects.all()[:2].delete()


# Measured


def alone(name: str, rows: int, url: str) -> dict[str, float]:
    """Export in a process of its own; return the bytes and the seconds."""
    environ = {**kept(), **PRODUCTION, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "lab.settings"}
    command = [sys.executable, "-m", "lab.database_design.many_rows_samples", name, str(rows)]
    run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def used() -> dict[str, str]:
    """Return the versions that a measurement depends on."""
    server, release = versions.server().split()
    return {"Django": version("django"), "psycopg": version("psycopg"), server: release}


def measure_memory(sizes: tuple[int, ...]) -> Measurement:
    """Return the peak of memory for each way to read; PostgreSQL has the learners, MariaDB gets its own."""
    lines: dict[str, list[tuple[float, float]]] = {}
    used_here = used()

    def add(line: str, name: str) -> None:
        url = databases.address()
        lines[line] = [(rows, round(alone(name, rows, url)["bytes"] / 1e6, 2)) for rows in sizes]

    add("a loop, PostgreSQL", "wrong_export")
    add("iterator(), PostgreSQL", "export")
    with databases.use("mariadb"):
        server, release = versions.server().split()
        used_here |= {"PyMySQL": version("pymysql"), server: release}
        learners(max(sizes))
        try:
            add("iterator(), MariaDB", "export")
            add("batches by key, MariaDB", "export_in_batches")
        finally:
            Learner.objects.all().delete()
    return Measurement(
        title="The most memory while learners are read",
        description="With a loop, and with iterator() on MariaDB, it grows with the rows; the other two stay flat.",
        x="learners",
        y="memory above the start (MB)",
        versions=used_here,
        lines=lines,
        log_x=True,
    )


def clock(function: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    gc.collect()
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1000


def timed(
    sizes: tuple[int, ...], runs: int, ways: dict[str, Callable[[int], Callable[[], object]]]
) -> dict[str, list[tuple[float, float]]]:
    """Return the median time of each way for each size; the ways take turns. Each is prepared untimed."""
    lines: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for size in sizes:
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(runs):
            for name, prepare in ways.items():
                times[name].append(clock(prepare(size)))
        for name, taken in times.items():
            lines[name].append((size, round(median(taken), 1)))
    return lines


def save_each(rows: list[Learner]) -> None:
    """Save rows one by one, in one transaction."""
    with transaction.atomic():
        for row in rows:
            row.save(update_fields=["name"])


def measure_update(sizes: tuple[int, ...], runs: int = 3) -> Measurement:
    """Return how long it takes to give learners other names."""

    def writing(write: Callable[[list[Learner]], object]) -> Callable[[int], Callable[[], object]]:
        def prepare(size: int) -> Callable[[], object]:
            rows = list(Learner.objects.order_by("pk")[:size])
            for row in rows:
                row.name = f"{row.name[:30]}."
            return lambda: write(rows)

        return prepare

    manager = Learner.objects
    ways: dict[str, Callable[[list[Learner]], object]] = {
        "save() in a loop": save_each,
        "bulk_update(), all at once": lambda rows: manager.bulk_update(rows, ["name"]),
        "bulk_update(batch_size=100)": lambda rows: manager.bulk_update(rows, ["name"], batch_size=100),
        "update() with an expression": lambda rows: manager.filter(pk__lte=rows[-1].pk).update(
            name=Concat("name", Value("."))
        ),
    }
    return Measurement(
        title="Changing rows that are there",
        description="update() is far below the rest; bulk_update() takes less than save() in a loop, batches or not.",
        x="learners",
        y="time (ms)",
        versions=used(),
        lines=timed(sizes, runs, {name: writing(way) for name, way in ways.items()}),
        log_x=True,
        log_y=True,
    )


def measure_insert(sizes: tuple[int, ...], runs: int = 3) -> Measurement:
    """Return how long it takes to insert learners."""

    def writing(write: Callable[[list[Learner]], object]) -> Callable[[int], Callable[[], object]]:
        def prepare(size: int) -> Callable[[], object]:
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM academy_learner WHERE name = 'Aba'")
            rows = new(size)
            return lambda: write(rows)

        return prepare

    ways: dict[str, Callable[[list[Learner]], object]] = {
        "bulk_create(), all at once": Learner.objects.bulk_create,
        "bulk_create(batch_size=1000)": lambda rows: Learner.objects.bulk_create(rows, batch_size=1000),
        "COPY": copy,
    }
    return Measurement(
        title="Storing new rows",
        description="COPY takes far less than bulk_create(), which is as fast with batches as without.",
        x="learners",
        y="time (ms)",
        versions=used(),
        lines=timed(sizes, runs, {name: writing(way) for name, way in ways.items()}),
        log_x=True,
        log_y=True,
    )


@pytest.mark.measures("many_rows")
@TOGETHER
@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/many_rows.py:wrong_export")
def test_the_price_of_many_rows(transactional_db: None, measured: Measured, request: pytest.FixtureRequest) -> None:
    anew = bool(request.config.getoption("measure"))
    learners(100_000 if anew else 20_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE academy_learner")
    memory = measured("many_rows_memory.json", lambda: measure_memory((1_000, 10_000, 100_000))).lines
    loop, cursor_line, everything, by_key = (dict(points) for points in memory.values())
    assert loop[100_000] > 8 * loop[10_000] > 8 * 5 * loop[1_000]
    assert loop[100_000] > 20 * max(cursor_line[100_000], by_key[100_000])
    assert everything[100_000] > 8 * everything[10_000]
    assert everything[100_000] > 10 * cursor_line[100_000]
    for flat in (cursor_line, by_key):
        assert flat[100_000] < 2 * flat[10_000]
    updates = measured("many_rows_update.json", lambda: measure_update((100, 1_000, 5_000))).lines
    each, at_once, batched, expression = (points[-1][1] for points in updates.values())
    assert each > 2 * batched
    assert batched < 1.2 * at_once
    assert batched > 5 * expression
    inserts = measured("many_rows_insert.json", lambda: measure_insert((1_000, 10_000, 50_000))).lines
    whole, parts, copied = (points[-1][1] for points in inserts.values())
    assert min(whole, parts) > 2 * copied
    if anew:
        return
    # What holds on every machine:
    small = measure_update((500,), 1).lines
    assert small["save() in a loop"][0][1] > 3 * small["update() with an expression"][0][1]
    assert measure_insert((500,), 1).lines
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM academy_learner WHERE name = 'Aba'")
    loop_now, cursor_now, everything_now, by_key_now = (
        points[0][1] for points in measure_memory((20_000,)).lines.values()
    )
    assert loop_now > 4 * cursor_now
    assert everything_now > 2 * by_key_now


def test_a_loop_holds_every_row(academy: None) -> None:
    """What a loop has kept is still there after it: a second loop asks nobody."""
    rows = Learner.objects.order_by("pk")
    with queries() as sent:
        wrong_export(rows, io.StringIO())
        wrong_export(rows, io.StringIO())
    assert len(sent.statements) == 1
    with queries() as sent:
        export(rows.all(), io.StringIO())
        export(rows.all(), io.StringIO())
    assert len(sent.statements) == 2
    assert many_rows_samples.run("export", 10)["bytes"] >= 0
