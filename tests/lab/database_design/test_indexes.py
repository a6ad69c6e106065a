"""What an index saves, what it costs, and when the planner does without."""

from __future__ import annotations

import datetime
import re
import time
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.db.models import Index, Model

from lab.academy.models import Course, Enrollment, Learner
from lab.database_design import million as rows
from lab.database_design.indexes import (
    BEST,
    EMAIL,
    EQUALITY_FIRST,
    FIND,
    GRADE_FIRST,
    GRADES,
    LATEST,
    RANGE_FIRST,
    UNGRADED,
    WRONG_BEST,
    WRONG_EMAIL,
    average,
    best,
    by_email,
    find,
    joined_since,
    latest,
    ungraded,
)
from scripts.pages import ROOT
from tests.lab.database_design.plans import nodes, pages, shape, size, tree
from tests.lab.database_design.psql import table
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

ON_POSTGRESQL = pytest.mark.databases("postgresql")
DAY = datetime.date(2024, 3, 1)


@pytest.fixture
def plans(million: None, db: None) -> None:
    """A million rows, one process a query, and a transaction that takes all indexes back."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")


def add(model: type[Model], *indexes: Index) -> None:
    """Make indexes, as a migration would, and let the planner know of their expressions."""
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.add_index(model, index)
    if any(index.expressions for index in indexes):  # it knows the columns already
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {model._meta.db_table}")


@contextmanager
def indexed(model: type[Model], *indexes: Index) -> Iterator[None]:
    """Have indexes for a while."""
    add(model, *indexes)
    yield
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.remove_index(model, index)


def scans(query: Any) -> set[str]:
    """Return what a query reads: index names, and the names of tables that it reads whole."""
    found = list(nodes(tree(query)))
    return {node.get("Index Name") or node["Relation Name"] for node in found if "Index Name" in node} | {
        node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"
    }


def sql_of(ask: Callable[[], object]) -> str:
    """Return the SQL of a question that has no queryset to explain."""
    with queries() as sent:
        ask()
    return sent.statements[0]


# The million rows themselves


@ON_POSTGRESQL
def test_a_million_rows_leave_nothing_behind(million: None, db: None) -> None:
    assert Enrollment.objects.count() == 1_000_000
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname ~ '^academy' AND relkind = 'r' AND reltuples > 0")
        assert len(cursor.fetchall()) == len(rows.MODELS)
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^academy' AND relkind = 'r' "
            "AND reltuples > 0 AND relallvisible < relpages"
        )
        assert cursor.fetchall() == [], "vacuumed: every page is visible to all"
        cursor.execute("SHOW session_replication_role")
        assert cursor.fetchone() == ("origin",)
        # No foreign key was checked on the way in.
        for child, parent in (("enrollment", "learner"), ("enrollment", "course"), ("certificate", "enrollment")):
            cursor.execute(
                f"SELECT count(*) FROM academy_{child} AS child LEFT JOIN academy_{parent} AS parent "  # noqa: S608
                f"ON parent.id = child.{parent}_id WHERE parent.id IS NULL"
            )
            assert cursor.fetchone() == (0,), (child, parent)
    with pytest.raises(ValueError, match="not empty"):
        rows.fill()


@ON_POSTGRESQL
def test_the_tables_are_as_before(db: None) -> None:
    def definitions() -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL SELECT conname, "
                "pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
            )
            return list(cursor.fetchall())

    rows.empty()
    before = definitions()
    with pytest.raises(ValueError, match="multiples"):
        rows.fill(enrollments=100, learners=30)
    rows.fill(enrollments=1_000, learners=200, courses=20)
    assert definitions() == before
    assert Enrollment.objects.count() == 1_000
    assert Learner.objects.create(name="Ama", email="ama@example.com").pk == 201
    connection.check_constraints()
    rows.empty()
    assert not Course.objects.exists()


# What an index is


@ON_POSTGRESQL
def test_the_record_of_the_first_index(plans: None, record: Recorder) -> None:
    record("indexes_latest_before.plan", shape(latest()))
    assert scans(latest()) == {"academy_enrollment"}
    with queries() as sent:
        add(Enrollment, LATEST)
    record("indexes_latest.sql", "\n".join(line for line in sent.statements if line.startswith("CREATE")))
    record("indexes_latest_after.plan", shape(latest()))
    assert scans(latest()) == {"latest"}
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION pageinspect")
        cursor.execute("SELECT level FROM bt_metap('latest')")
        assert cursor.fetchone() == (2,), "root, one level between, leaves"


# Foreign keys


@ON_POSTGRESQL
def test_the_index_of_a_foreign_key_may_be_there_twice(plans: None) -> None:
    own = Enrollment.objects.filter(learner=77)
    (index,) = scans(own)
    assert index.startswith("academy_enrollment_learner_id_")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {index}")
    assert scans(own) == {"enrolled_once"}


@ON_POSTGRESQL
def test_deleting_a_parent_asks_for_its_children(plans: None) -> None:
    """A foreign key without an index makes each delete of its parent read the whole table."""

    def trigger_reads() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'academy_enrollment'")
            return int(cursor.fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for index, expected in ((True, 0), (False, 1_000_000)):
            new = Course.objects.create(title="New", slug=f"new-{index}", starts_on=DAY, ends_on=DAY)
            if not index:
                cursor.execute("DROP INDEX academy_enrollment_course_id_9536ea15")
            before = trigger_reads()
            cursor.execute("DELETE FROM academy_course WHERE id = %s", [new.pk])
            assert trigger_reads() - before == expected


# Several columns


@ON_POSTGRESQL
def test_equality_stands_before_the_range(plans: None, record: Recorder) -> None:
    question = sql_of(partial(joined_since, 7, datetime.date(2025, 1, 1)))
    lines = ["| Index | Searches in it | Pages read |", "| --- | ---: | ---: |"]
    read = []
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX academy_enrollment_course_id_9536ea15")
    for index in (EQUALITY_FIRST, RANGE_FIRST):
        with indexed(Enrollment, index):
            scan = next(node for node in nodes(tree(question)) if node.get("Index Name") == index.name)
            read.append(pages(question))
            columns = ", ".join(f"`{name}`" for name in index.fields)
            lines.append(f"| {columns} | {scan['Index Searches']} | {read[-1]:,} |")
    record("indexes_order.md", "\n".join(lines))
    assert read[1] > 50 * read[0]


@ON_POSTGRESQL
def test_skip_scan(plans: None, record: Recorder) -> None:
    question = Enrollment.objects.filter(enrolled_on=DAY).order_by()
    add(Enrollment, GRADE_FIRST)
    record("indexes_skip.plan", shape(question))
    assert scans(question) == {"grade_first"}
    skipping = pages(question)
    add(Enrollment, LATEST)
    assert scans(question) == {"latest"}
    assert skipping > 10 * pages(question)
    assert skipping * 10 < size("academy_enrollment") / 8192
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX academy_enrollment_course_id_9536ea15")
    assert scans(Enrollment.objects.filter(course=900)) == {"academy_enrollment"}, "200,000 learners to skip"


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/indexes.py:wrong_best")
def test_the_order_of_nulls_is_part_of_an_index(plans: None, record: Recorder) -> None:
    add(Enrollment, WRONG_BEST)
    assert scans(best(1)) <= {"wrong_best", "academy_enrollment_course_id_9536ea15"}
    wrong = shape(best(1))
    assert "Sort" in wrong
    assert f"rows={Enrollment.objects.filter(course=1).count()}" in wrong
    record("indexes_wrong_best.plan", wrong)
    add(Enrollment, BEST)
    assert scans(best(1)) == {"best"}
    record("indexes_best.plan", shape(best(1)))


# Kinds of indexes


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/indexes.py:wrong_email")
def test_an_index_over_another_expression_does_not_count(plans: None, record: Recorder) -> None:
    question = by_email("AMA-77@example.com")
    with queries() as sent:
        assert question.get().name == "Ama 77"
    record("indexes_email.sql", sent.text)
    add(Learner, WRONG_EMAIL)
    assert scans(question) == {"academy_learner"}
    assert scans("SELECT * FROM academy_learner WHERE lower(email) = 'ama-77@example.com'") == {"wrong_email"}
    add(Learner, EMAIL)
    assert scans(question) == {"email_in_any_case"}


@ON_POSTGRESQL
def test_a_partial_index_serves_what_implies_its_condition(plans: None) -> None:
    add(Enrollment, UNGRADED)
    assert scans(ungraded(7)) == {"ungraded"}
    assert "ungraded" not in scans(Enrollment.objects.filter(course=7).order_by("enrolled_on")[:20])


@ON_POSTGRESQL
def test_the_record_of_all_kinds(plans: None, record: Recorder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION pg_trgm")
    lines = [
        "| Kind | Index | Pages before | After | Size |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for kind, index, question in (
        ("Plain", LATEST, latest()),
        ("With an order", BEST, best(1)),
        ("Partial", UNGRADED, ungraded(7)),
        ("Covering", GRADES, sql_of(partial(average, 1))),
        ("Expression", EMAIL, by_email("AMA-77@example.com")),
        ("GIN, trigrams", FIND, find("ma-1777@")),
    ):
        model = Learner if index in (EMAIL, FIND) else Enrollment
        before = pages(question)
        with indexed(model, index):
            assert scans(question) == {index.name}
            after = pages(question)
            name = next(name for name, value in globals().items() if value is index)
            lines.append(f"| {kind} | `{name}` | {before:,} | {after:,} | {size(index.name) / 1e6:.1f} MB |")
        assert before > 19 * after, kind
    record("indexes_kinds.md", "\n".join(lines))
    assert 59 < size("academy_enrollment") / 1e6 < 61
    add(Enrollment, BEST, GRADES)
    assert size("grades") > 3 * size("best")


@ON_POSTGRESQL
def test_a_covering_index_needs_vacuum(committed: None) -> None:
    question = "SELECT avg(grade) FROM few WHERE course_id = 1"

    def fetches() -> int:
        found = next(node for node in nodes(tree(question)) if node["Node Type"] == "Index Only Scan")
        return int(found["Heap Fetches"])

    with connection.cursor() as cursor:
        # The test servers confirm a commit before it is on the disk, and VACUUM does not trust such rows yet.
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("CREATE TABLE few AS SELECT * FROM academy_enrollment WHERE id <= 100000")
        try:
            cursor.execute("CREATE INDEX ON few (course_id) INCLUDE (grade)")
            cursor.execute("SET enable_seqscan = off")
            cursor.execute("SET enable_bitmapscan = off")
            cursor.execute("VACUUM ANALYZE few")
            assert fetches() == 0
            cursor.execute("UPDATE few SET grade = 50 WHERE course_id = 1")
            updated = cursor.rowcount
            assert fetches() >= updated
            cursor.execute("VACUUM few")
            assert fetches() == 0
        finally:
            cursor.execute("DROP TABLE few")
            for name in ("enable_seqscan", "enable_bitmapscan", "synchronous_commit"):
                cursor.execute(f"RESET {name}")


# When the planner does without


@ON_POSTGRESQL
def test_the_record_of_ignored_indexes(plans: None, record: Recorder) -> None:
    add(Enrollment, LATEST, Index(fields=["grade"], name="grade"))
    enrollments, learners = Enrollment.objects.order_by(), Learner.objects.order_by()
    lines = ["| Condition | Index on | Read | Because |", "| --- | --- | --- | --- |"]
    for condition, column, question, because in (
        (
            "`enrolled_on__year=2021`",
            "`enrolled_on`",
            enrollments.filter(enrolled_on__year=2021),
            "Django sends `BETWEEN`",
        ),
        (
            "`enrolled_on__month=3`",
            "`enrolled_on`",
            enrollments.filter(enrolled_on__month=3),
            "the column is inside a function",
        ),
        ("`grade__gte=40`", "`grade`", enrollments.filter(grade__gte=40), "nine of ten rows match"),
        (
            '`email__startswith="ama-77@"`',
            "`email`",
            learners.filter(email__startswith="ama-77@"),
            "Django's second index on it, see below",
        ),
        (
            '`email__endswith="-77@example.com"`',
            "`email`",
            learners.filter(email__endswith="-77@example.com"),
            "the beginning is not known",
        ),
        (
            "`id = 5.0` in SQL",
            "`id`",
            "SELECT * FROM academy_enrollment WHERE id = 5.0",
            "`bigint` becomes `numeric`, row by row",
        ),
    ):
        whole = scans(question) <= {"academy_enrollment", "academy_learner"}
        lines.append(f"| {condition} | {column} | {'the whole table' if whole else 'the index'} | {because} |")
    record("indexes_ignored.md", "\n".join(lines))
    assert scans("SELECT * FROM academy_enrollment WHERE id = 5") == {"academy_enrollment_pkey"}
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN SELECT * FROM academy_enrollment WHERE id = %s", [Decimal("5.0")])
        assert cursor.fetchone()[0].startswith("Seq Scan")


# What it costs


@ON_POSTGRESQL
def test_the_record_of_unused_indexes(committed: None, record: Recorder) -> None:
    statement = (ROOT / "lab/database_design/indexes.sql").read_text(encoding="utf-8")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")  # what went before
        cursor.execute("SELECT pg_stat_reset()")
        for number in range(1, 11):  # what an academy does all day
            list(Enrollment.objects.filter(learner=number))
            Enrollment.objects.filter(course=900 + number).count()
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(statement)
        names = [column.name for column in cursor.description]
        found = [(re.sub("_[0-9a-f]{8}$", "_…", name), *row) for name, *row in cursor.fetchall()]
    record("indexes_unused.txt", table(names, found))


# MariaDB


@pytest.mark.databases("mariadb")
@pytest.mark.django_db(transaction=True)  # a statement that makes an index commits
def test_mariadb_ignores_what_it_does_not_know(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"UNGRADED": UNGRADED, "GRADES": GRADES, "WRONG_EMAIL": WRONG_EMAIL}
    lines = []
    for name, index in given.items():
        with monkeypatch.context() as patch:
            patch.setattr(Enrollment._meta, "indexes", [index])
            (warning,) = [
                found for found in Enrollment.check(databases=["default"]) if (found.id or "") > "models.W036"
            ]
        with queries() as sent, connection.schema_editor() as editor:
            editor.add_index(Learner if index is WRONG_EMAIL else Enrollment, index)
        made = [sql for sql in sent.statements if "INDEX" in sql]
        lines += [f"{name}", f"  {warning.id}: {warning.msg}", f"  {(made or ['nothing is sent'])[0]}"]
        if made:
            with connection.schema_editor() as editor:
                editor.remove_index(Enrollment, index)
    record("indexes_mariadb.txt", "\n".join(lines))


@pytest.mark.databases("mariadb")
@pytest.mark.django_db(transaction=True)
def test_mariadb_compares_a_text_with_a_number_as_numbers(academy: None) -> None:
    def access(value: str) -> tuple[str, str | None]:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN SELECT id FROM academy_learner WHERE email = {value}")  # noqa: S608
            row = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
            return row["type"], row["key"]

    assert access("'ama@example.com'")[0] == "const"
    assert access("5")[0] == "index"  # the whole index, from one end to the other


@pytest.mark.databases("mariadb")
@pytest.mark.django_db(transaction=True)
def test_an_index_over_both_columns_covers_on_mariadb(academy: None) -> None:
    question = sql_of(partial(average, 1))
    with indexed(Enrollment, Index(fields=["course", "grade"], name="both")), connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN {question.replace('`academy_enrollment` WHERE', '`academy_enrollment` USE INDEX (`both`) WHERE')}"
        )
        row = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    assert (row["key"], "Using index" in row["Extra"]) == ("both", True)


# Measurements

DEFINITIONS = (
    "learner_id",
    "course_id",
    "enrolled_on",
    "grade",
    "course_id, enrolled_on",
    "learner_id, course_id",
    "grade, enrolled_on",
    "course_id, grade",
)


def milliseconds(sql: str) -> float:
    """Return how long a statement takes."""
    with connection.cursor() as cursor:
        start = time.perf_counter()
        cursor.execute(sql)
        return (time.perf_counter() - start) * 1000


def sample(name: str, count: int, *indexes: str) -> None:
    """Make a table of the first enrollments."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.execute(f"CREATE TABLE {name} (LIKE academy_enrollment)")
        cursor.execute(f"INSERT INTO {name} SELECT * FROM academy_enrollment WHERE id <= {count}")  # noqa: S608
        for columns in indexes:
            cursor.execute(f"CREATE INDEX ON {name} ({columns})")
        cursor.execute(f"ANALYZE {name}")


def compare_reads(sizes: tuple[int, ...], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Return the milliseconds of the newest twenty enrollments, by rows, without an index and with it."""
    lines: dict[str, list[tuple[float, float]]] = {"no index": [], "an index": []}
    for count in sizes:
        tables = {"no index": f"bare_{count}", "an index": f"indexed_{count}"}
        sample(tables["no index"], count)
        sample(tables["an index"], count, "enrolled_on, id")
        times: dict[str, list[float]] = {name: [] for name in lines}
        for _ in range(repeats + 1):
            for name, one in tables.items():
                times[name].append(milliseconds(f"SELECT * FROM {one} ORDER BY enrolled_on DESC, id DESC LIMIT 20"))  # noqa: S608
        for name, points in lines.items():
            points.append((count, round(median(times[name][1:]), 3)))
    return lines


def compare_writes(counts: tuple[int, ...], before: int, rows: int, repeats: int) -> list[tuple[float, float]]:
    """Return the milliseconds of inserting some rows into a table that has many, by its number of indexes."""
    for count in counts:
        sample(f"written_{before}_{count}", before, "id", *DEFINITIONS[:count])
    times: dict[int, list[float]] = {count: [] for count in counts}
    for turn in range(repeats + 1):
        first = before + turn * rows
        for count in counts:
            times[count].append(
                milliseconds(
                    f"INSERT INTO written_{before}_{count} SELECT * FROM academy_enrollment "  # noqa: S608
                    f"WHERE id > {first} AND id <= {first + rows}"
                )
            )
    return [(count, round(median(found[1:]), 1)) for count, found in times.items()]


def measure_reads() -> Measurement:
    """Measure what an index saves."""
    return Measurement(
        title="The newest twenty enrollments, without an index and with one",
        description="Without an index the time grows with the table. With one it does not.",
        x="rows in the table",
        y="time of the statement (ms)",
        versions={"PostgreSQL": versions.server().split()[1]},
        lines=compare_reads((1_000, 10_000, 100_000, 1_000_000), 25),
        log_x=True,
        log_y=True,
    )


def measure_writes() -> Measurement:
    """Measure what indexes cost."""
    return Measurement(
        title="Inserting 10,000 rows into a table with 900,000, by its indexes",
        description="Each index beside the primary key makes the insert slower.",
        x="indexes beside the primary key",
        y="time of one INSERT of 10,000 rows (ms)",
        versions={"PostgreSQL": versions.server().split()[1]},
        lines={"INSERT": compare_writes((0, 1, 2, 4, 6, 8), 900_000, 10_000, 9)},
    )


@pytest.mark.measures("indexes_reads")
@ON_POSTGRESQL
def test_the_time_that_an_index_saves(plans: None, measured: Measured) -> None:
    bare, indexed = (dict(line) for line in measured("indexes_reads.json", measure_reads).lines.values())
    assert bare[1_000_000] > 100 * indexed[1_000_000]
    assert bare[1_000_000] > 20 * bare[10_000], "it grows with the table"
    assert 10 * indexed[1_000_000] < bare[100_000], "it hardly does"
    small = {name: points[0][1] for name, points in compare_reads((100_000,), 5).items()}
    assert small["no index"] > 3 * small["an index"]


@pytest.mark.measures("indexes_writes")
@ON_POSTGRESQL
def test_the_time_that_indexes_cost(plans: None, measured: Measured) -> None:
    (line,) = measured("indexes_writes.json", measure_writes).lines.values()
    times = dict(line)
    assert times[8] > 3 * times[0]
    assert [times[count] for count in (0, 2, 4, 8)] == sorted(times[count] for count in (0, 2, 4, 8))
    none, all_of_them = (time for _, time in compare_writes((0, 8), 0, 10_000, 3))
    assert all_of_them > none, "several times as long on a machine of its own"
    table = size("written_0_8")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_indexes_size('written_0_8')")
        assert cursor.fetchone()[0] > table
