"""Changes of a table in use: who waits, for how long, and what is left behind when a change fails."""

from __future__ import annotations

import re
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import F, Q

from lab.academy.models import Enrollment
from lab.database_design.live_migrations import (
    CheckNewRows,
    CheckOldRows,
    IndexTheDay,
    Pointed,
    fill,
    wrong_fill,
)
from lab.database_design.million import empty
from lab.database_design.million import fill as fill_tables
from scripts.pages import ROOT
from tests import databases
from tests.lab.database_design import psql
from tests.lab.database_design.two import Schedule, code, people, send
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.migrations import Migration

    from tests.recording.files import Recorder

TOGETHER = pytest.mark.django_db(transaction=True)
SCRIPT = (ROOT / "lab/database_design/live_migrations.sql").read_text(encoding="utf-8")
SCHEDULES = dict(re.findall(r"^-- (\w+)\n((?:/\*.+\n)+)", SCRIPT, re.MULTILINE))


@pytest.fixture
def points(academy: None) -> Iterator[None]:
    """The academy with a column more."""
    send("ALTER TABLE academy_enrollment ADD COLUMN points smallint")
    yield
    send("ALTER TABLE academy_enrollment DROP COLUMN points")


def apply(migration: type[Migration], *, backwards: bool = False) -> None:
    """Apply the operations of a migration to the academy, or take them back."""
    state = MigrationLoader(connection).project_state()
    for operation in migration.operations:
        after = state.clone()
        operation.state_forwards("academy", after)
        with connection.schema_editor(atomic=migration.atomic) as editor:
            if backwards:
                operation.database_backwards("academy", editor, after, state)
            else:
                operation.database_forwards("academy", editor, state, after)


def change(key: int) -> int:
    """Write to an enrollment."""
    return Enrollment.objects.filter(pk=key).update(grade=90)


# Who waits for whom


@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_reader_waits_behind_a_change_that_waits(academy: None, record: Recorder) -> None:
    done = Schedule(SCHEDULES["queue"]).run("READ COMMITTED")
    assert done.waited == {"Esi", "Kofi"}
    record("live_migrations_queue.txt", done.text)


@pytest.mark.databases("postgresql")
@TOGETHER
def test_with_a_limit_the_change_gives_up(academy: None) -> None:
    with people("Ama", "Esi", "Kofi") as (ama, esi, kofi):
        ama.sql("BEGIN")
        ama.sql("SELECT COUNT(*) FROM academy_tag")
        esi.sql("SET lock_timeout = '50ms'")
        with pytest.raises(DatabaseError) as gave_up:
            esi.do(send, "ALTER TABLE academy_tag ADD COLUMN color text")
        assert code(gave_up.value) == "55P03"
        assert kofi.sql("SELECT COUNT(*) FROM academy_tag") == [(5,)]
        ama.sql("COMMIT")
        esi.step = None


# Fill


@pytest.mark.databases("postgresql", "mariadb")
@TOGETHER
def test_batches_fill_the_same_rows(points: None) -> None:
    graded = Pointed.objects.exclude(grade=None).count()
    assert 20 < graded < Pointed.objects.count()
    with queries() as sent:
        fill(size=10)
    assert Pointed.objects.filter(points=F("grade") * 2).count() == graded
    assert sum("UPDATE" in each for each in sent.statements) == -(-graded // 10)
    Pointed.objects.update(points=None)
    wrong_fill()
    assert Pointed.objects.filter(points=F("grade") * 2).count() == graded


@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_batch_that_fails_keeps_the_ones_before(points: None) -> None:
    third = list(Pointed.objects.filter(grade__gt=0).order_by("pk").values_list("pk", flat=True))[25]
    send(f"ALTER TABLE academy_enrollment ADD CONSTRAINT third CHECK (id <> {third} OR points IS NULL)")
    with pytest.raises(DatabaseError, match="third"):
        fill(size=10)
    assert Pointed.objects.exclude(points=None).count() == 20
    send("ALTER TABLE academy_enrollment DROP CONSTRAINT third")
    fill(size=10)
    assert not Pointed.objects.filter(points=None, grade__gt=0).exists(), "it goes on where it stopped"


@pytest.mark.databases("postgresql", "mariadb")
@TOGETHER
def test_a_batch_leaves_alone_what_somebody_else_filled(points: None) -> None:
    first = Pointed.objects.filter(grade__gt=0).order_by("pk")[0].pk
    with people("Kofi") as (kofi,):

        def meanwhile(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            if sql.startswith("UPDATE"):
                kofi.sql(f"UPDATE academy_enrollment SET points = 1 WHERE id = {first}")  # noqa: S608
            return execute(sql, *rest)

        with connection.execute_wrapper(meanwhile):
            fill()
    assert Pointed.objects.get(pk=first).points == 1
    assert not Pointed.objects.filter(points=None, grade__gt=0).exists()


@pytest.mark.wrong("lab/database_design/live_migrations.py:wrong_fill")
@pytest.mark.databases("postgresql", "mariadb")
@TOGETHER
def test_one_update_holds_every_row_until_it_ends(points: None) -> None:
    first, *_, last = Enrollment.objects.exclude(grade=None).order_by("pk")
    with people("Esi", "Kofi", "Ama") as (esi, kofi, ama):
        kofi.sql("BEGIN")
        kofi.do(change, last.pk)
        esi.start(wrong_fill)
        assert esi.waiting, "for Kofi's row"
        ama.start(change, first.pk)
        assert ama.waiting, "for Esi, who has changed Ama's row and waits"
        kofi.sql("COMMIT")
        assert esi.step
        assert ama.step
        esi.step.result(30)
        ama.step.result(30)
        esi.step = ama.step = None


# Indexes and constraints


@pytest.mark.databases("postgresql")
@TOGETHER
def test_what_is_sent(academy: None, record: Recorder) -> None:
    with queries() as sent:
        apply(IndexTheDay)
        apply(CheckNewRows)
        apply(CheckOldRows)
    apply(IndexTheDay, backwards=True)
    send("ALTER TABLE academy_enrollment DROP CONSTRAINT grade_at_least_1")
    statements = [each for each in sent.statements if "ALTER" in each or "INDEX" in each]
    assert len(statements) == 3
    record("live_migrations.sql", "\n\n".join(f"{each.rstrip(';')};" for each in statements))


@pytest.mark.databases("postgresql")
@TOGETHER
def test_an_index_that_fails_stays(academy: None, record: Recorder) -> None:
    statement = "CREATE UNIQUE INDEX CONCURRENTLY one_a_day ON academy_enrollment (enrolled_on)"
    Enrollment.objects.update(enrolled_on="2026-02-02")
    with pytest.raises(DatabaseError) as failed:
        send(statement)
    look = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_a_day'::regclass"
    assert send(look) == [(False,)]
    lines = [f"=> {statement};", f"ERROR:  {failed.value.__cause__.diag.message_primary}"]  # type: ignore[union-attr]
    lines += [f"=> {look};", psql.table(["indisvalid"], [["f"]])]
    with pytest.raises(DatabaseError) as again:
        send(statement)
    lines += [f"=> {statement};", f"ERROR:  {again.value.__cause__.diag.message_primary}"]  # type: ignore[union-attr]
    send("DROP INDEX CONCURRENTLY one_a_day")
    lines += ["=> DROP INDEX CONCURRENTLY one_a_day;", "DROP INDEX"]
    record("live_migrations_invalid.psql", "\n".join(lines))


@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_plain_index_waits_for_writers_and_stops_them(academy: None) -> None:
    row = Enrollment.objects.earliest("pk").pk
    with people("Esi", "Kofi", "Ama") as (esi, kofi, ama):
        kofi.sql("BEGIN")
        kofi.do(change, row)
        esi.start(send, "CREATE INDEX day ON academy_enrollment (enrolled_on)")
        assert esi.waiting
        ama.start(change, row + 1)
        assert ama.waiting, "another row, and still"
        assert esi.step
        assert ama.step
        kofi.sql("COMMIT")
        esi.step.result(30)
        ama.step.result(30)
        kofi.sql("BEGIN")
        kofi.do(change, row)
        esi.start(send, "CREATE INDEX CONCURRENTLY day_2 ON academy_enrollment (enrolled_on)")
        assert esi.waiting, "this one waits as well"
        assert ama.do(change, row + 1) == 1, "but stops nobody"
        kofi.sql("COMMIT")
        esi.step.result(30)
        esi.step = ama.step = None
    send("DROP INDEX day, day_2")


@pytest.mark.databases("postgresql")
@TOGETHER
def test_new_rows_obey_at_once_and_old_rows_later(academy: None) -> None:
    Enrollment.objects.filter(pk=1).update(grade=0)
    apply(CheckNewRows)
    with pytest.raises(DatabaseError, match="grade_at_least_1"):
        Enrollment.objects.filter(pk=2).update(grade=0)
    with pytest.raises(DatabaseError, match="is violated by some row"):
        apply(CheckOldRows)
    assert Enrollment.objects.filter(~Q(grade__gte=1), grade__isnull=False).update(grade=1) == 1
    apply(CheckOldRows)
    send("ALTER TABLE academy_enrollment DROP CONSTRAINT grade_at_least_1")


# MariaDB


ALTERATIONS = {
    "add a column": "ADD COLUMN note varchar(20)",
    "add a column with a default": "ADD COLUMN points smallint NOT NULL DEFAULT 0",
    "drop a column": "DROP COLUMN grade",
    "rename a column": "CHANGE grade mark smallint unsigned",
    "make a text longer": "MODIFY name varchar(90) NOT NULL",
    "forbid NULL": "MODIFY grade smallint unsigned NOT NULL",
    "change a type": "MODIFY grade int",
    "add an index": "ADD INDEX day (enrolled_on)",
    "add a foreign key": "ADD FOREIGN KEY (tag_id) REFERENCES academy_tag (id)",
    "add a check": "ADD CONSTRAINT low CHECK (grade < 200)",
}


@pytest.mark.databases("mariadb")
@TOGETHER
def test_what_mariadb_can_do_without_stopping_writers(academy: None, record: Recorder) -> None:
    ways = {
        "at once": "ALGORITHM=INSTANT",
        "in place, writers go on": "ALGORITHM=INPLACE, LOCK=NONE",
        "in place, writers wait": "ALGORITHM=INPLACE, LOCK=SHARED",
        "a copy, writers wait": "ALGORITHM=COPY",
    }
    rows = ["| Change | How MariaDB does it |", "| --- | --- |"]
    found = {}
    for name, alteration in ALTERATIONS.items():
        for way, algorithm in ways.items():
            send("DROP TABLE IF EXISTS spare")
            send(
                "CREATE TABLE spare (id bigint PRIMARY KEY AUTO_INCREMENT, name varchar(80) NOT NULL,"
                " grade smallint unsigned, enrolled_on date NOT NULL, tag_id bigint)"
            )
            try:
                send(f"ALTER TABLE spare {alteration}, {algorithm}")
            except DatabaseError as error:
                if code(error) not in {"1845", "1846"}:  # it cannot be done in this way
                    raise
            else:
                found[name] = way
                rows.append(f"| {name} | {way} |")
                break
    send("DROP TABLE spare")
    assert found["add a column"] == "at once"
    assert found["add an index"] == "in place, writers go on"
    assert found["change a type"] == "a copy, writers wait"
    record("live_migrations_mariadb.md", "\n".join(rows))


# What a writer feels


INDEX = "enrollment_day ON academy_enrollment (enrolled_on)"
RULE = "ADD CONSTRAINT low CHECK (grade < 200)"
ADD_POINTS = "ALTER TABLE academy_enrollment ADD COLUMN points smallint"
CHANGES: dict[str, tuple[tuple[str | Callable[[], None], ...], str]] = {
    "add a column with a constant": (
        (f"{ADD_POINTS} NOT NULL DEFAULT 0",),
        "ALTER TABLE academy_enrollment DROP COLUMN points",
    ),
    "add a column with a new value each": (
        ("ALTER TABLE academy_enrollment ADD COLUMN code uuid DEFAULT gen_random_uuid()",),
        "ALTER TABLE academy_enrollment DROP COLUMN code",
    ),
    "add an index": ((f"CREATE INDEX {INDEX}",), "DROP INDEX enrollment_day"),
    "add an index concurrently": ((f"CREATE INDEX CONCURRENTLY {INDEX}",), "DROP INDEX enrollment_day"),
    "add a check": (
        (f"ALTER TABLE academy_enrollment {RULE}",),
        "ALTER TABLE academy_enrollment DROP CONSTRAINT low",
    ),
    "add a check, validate later": (
        (
            f"ALTER TABLE academy_enrollment {RULE} NOT VALID",
            "ALTER TABLE academy_enrollment VALIDATE CONSTRAINT low",
        ),
        "ALTER TABLE academy_enrollment DROP CONSTRAINT low",
    ),
    "fill a column in one statement": (
        (ADD_POINTS, wrong_fill),
        "ALTER TABLE academy_enrollment DROP COLUMN points",
    ),
    "fill a column in batches": ((ADD_POINTS, fill), "ALTER TABLE academy_enrollment DROP COLUMN points"),
}


class Writer:
    """Somebody who changes one row after the other, and remembers the longest wait."""

    def __init__(self, rows: int) -> None:
        self.rows, self.longest, self.count, self.over = rows, 0.0, 0, threading.Event()
        self.thread = threading.Thread(target=self.write)

    def write(self) -> None:
        """Give a row the grade that it has, again and again, over a connection of one's own."""
        with psycopg.connect(databases.address(), autocommit=True) as mine:
            while not self.over.is_set():
                number = self.count * 7919 % self.rows + 1  # a prime, so that it comes everywhere
                start = time.perf_counter()
                mine.execute("UPDATE academy_enrollment SET grade = grade WHERE id = %s", [number])
                self.longest = max(self.longest, time.perf_counter() - start)
                self.count += 1

    def __enter__(self) -> Writer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def longest_waits(rows: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the longest wait of a writer during each change, and how long the change took, in milliseconds."""
    waits: dict[str, float] = {}
    took: dict[str, float] = {}
    for name, (steps, undo) in CHANGES.items():
        send("VACUUM ANALYZE academy_enrollment")
        with Writer(rows) as writer:
            while writer.count < 100:
                time.sleep(0.01)
            writer.longest = 0
            start = time.perf_counter()
            for step in steps:
                if callable(step):
                    step()
                else:
                    send(step)
            took[name] = round(1000 * (time.perf_counter() - start), 1)
        waits[name] = round(1000 * writer.longest, 1)
        send(undo)
    return waits, took


def measure(rows: int) -> tuple[Measurement, Measurement]:
    """Return the waits and the durations of the changes on a table with so many rows."""
    fill_tables(rows, learners=rows // 5, courses=1000)
    try:
        waits, took = longest_waits(rows)
    finally:
        empty()
    common: dict[str, Any] = {
        "x": "change",
        "versions": {
            "Django": version("django"),
            "psycopg": version("psycopg"),
            "PostgreSQL": versions.server().removeprefix("PostgreSQL "),
        },
    }
    return (
        Measurement(
            title="The longest wait of a writer",
            description="A rewrite, a plain index and one large update stop a writer; their alternatives do not.",
            y="longest wait (ms)",
            bars=waits,
            **common,
        ),
        Measurement(
            title="How long each change takes",
            description="An index built concurrently and a column filled in batches take longer than at one go.",
            y="time (ms)",
            bars=took,
            **common,
        ),
    )


@pytest.mark.measures("live_migrations")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_what_a_writer_feels(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    run: list[tuple[Measurement, Measurement]] = []

    def once(part: int) -> Measurement:
        if not run:
            run.append(measure(500_000))
        return run[0][part]

    waits = measured("live_migrations_wait.json", lambda: once(0)).bars
    took = measured("live_migrations_time.json", lambda: once(1)).bars
    for stops, instead in (
        ("add a column with a new value each", "add a column with a constant"),
        ("add an index", "add an index concurrently"),
        ("fill a column in one statement", "fill a column in batches"),
    ):
        assert waits[stops] > 3 * waits[instead], stops
    assert waits["add an index"] > took["add an index"] / 2, "about as long as the change"
    assert max(waits, key=waits.__getitem__) == "fill a column in one statement"
    for quick, gentle in (
        ("add an index", "add an index concurrently"),
        ("fill a column in one statement", "fill a column in batches"),
    ):
        assert took[gentle] > took[quick]


@pytest.mark.databases("postgresql")
@TOGETHER
def test_the_measurement_on_few_rows() -> None:
    waits, took = measure(5000)
    assert list(waits.bars) == list(took.bars) == list(CHANGES)
    assert min(took.bars.values()) > 0
