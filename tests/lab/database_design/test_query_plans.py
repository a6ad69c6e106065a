"""What a plan says, why it is wrong at times, and where to find the query that deserves a look."""

from __future__ import annotations

import datetime
import json
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, connections
from django.db.models import Count

from lab import environment
from lab.academy.models import Course, Enrollment, Learner, User
from lab.database_design import million as rows
from lab.database_design.query_plans import certificates, members, passed, plan, waiting, wrong_plan
from scripts import services
from scripts.pages import ROOT
from scripts.proof import sections
from tests.lab.database_design.plans import explain, nodes, pages, shape, tree
from tests.lab.database_design.psql import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import DjangoDbBlocker

    from tests.recording.files import Recorder

    Session = Callable[..., None]

ON_POSTGRESQL = pytest.mark.databases("postgresql")
CHRISTMAS = datetime.date(2025, 12, 25)
SQL = ROOT / "lab/database_design/query_plans.sql"


def section(name: str) -> str:
    """Return a section of the SQL that the page quotes."""
    text = SQL.read_text(encoding="utf-8")
    return "\n".join(text.splitlines()[number - 1] for number in sections(text)[name])


@pytest.fixture(scope="module")
def exact(million: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Statistics of the million rows that are the same on every run.

    They are made of all rows (300 for each unit of the largest target) in place of 30,000 by chance;
    the columns that are asked for keep their ordinary target.
    """

    def target(enrollments: str, learners: str) -> None:
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE academy_enrollment ALTER id SET STATISTICS {enrollments}")
            cursor.execute(f"ALTER TABLE academy_learner ALTER id SET STATISTICS {learners}")
            cursor.execute("ANALYZE academy_enrollment, academy_learner")

    target("3600", "700")
    yield
    target("DEFAULT", "DEFAULT")


@pytest.fixture
def plans(exact: None, db: None) -> None:
    """A million rows, one process a query."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")


def estimated(query: Any, options: str = "ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF") -> str:
    """Return a plan with the estimates of rows beside the rows."""
    lines = explain(query, options)
    return re.sub(r"(\d+)kB", "…kB", re.sub(r"cost=\S+", "cost=…", "\n".join(lines)))


def node(query: Any, kind: str) -> dict[str, Any]:
    """Return the first node of a kind in the plan of a query."""
    return next(found for found in nodes(tree(query)) if found["Node Type"] == kind)


# Reading a plan


@ON_POSTGRESQL
def test_the_record_of_a_plan(plans: None, record: Recorder) -> None:
    pages(passed(501))  # from here on all pages are in memory
    text = "\n".join(explain(passed(501), "ANALYZE"))
    assert "Buffers: shared hit" in text, "shown without being asked for"
    text = re.sub(r"\nPlanning:\n.*?(?=\nPlanning Time)", "", text, flags=re.DOTALL)  # of the catalog, not of the data
    text = re.sub(r"(cost|time)=[\d.]+", r"\1=…", text).replace("=……", "=…")
    text = re.sub(r"=…\.\.[\d.]+", "=…", text)
    text = re.sub(r"(Memory: |Time: )[\d.]+", r"\1…", text)
    record("query_plans_passed.plan", text)
    bitmap = node(passed(501), "Bitmap Heap Scan")
    assert bitmap["Rows Removed by Filter"] > bitmap["Actual Rows"]


@ON_POSTGRESQL
def test_explain_of_a_queryset(plans: None, session: Session) -> None:
    session("query_plans_explain.pycon", passed=passed)


@ON_POSTGRESQL
def test_three_ways_to_join(plans: None, record: Recorder) -> None:
    lines = ["| Join | How it works | Chosen for | Rows |", "| --- | --- | --- | ---: |"]
    for name, question, what, how in (
        (
            "Nested Loop",
            passed(501),
            "who passed a small course",
            "for each row of the first input, look into the index of the second",
        ),
        (
            "Hash Join",
            members(1),
            "all members of a popular course",
            "put the smaller input into a hash table, then read the other once",
        ),
        (
            "Merge Join",
            certificates(),
            "all certificates, in the order of their enrollments",
            "read two inputs that have the same order side by side",
        ),
    ):
        found = node(question, name)
        lines.append(f"| {name} | {how} | {what} | {int(found['Actual Rows']):,} |")
    record("query_plans_joins.md", "\n".join(lines))


# Estimates


def changes(query: Any, statement: str) -> list[str]:
    """Return the plan of a query before and after a statement, with the pages that each reads."""
    found, read = [], []
    for turn in range(2):
        if turn:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        read.append(pages(query))
        found.append(f"{estimated(query)}\n-- {read[-1]:,} pages")
    assert read[0] > 6 * read[1]
    return found


@ON_POSTGRESQL
def test_columns_that_depend_on_each_other(plans: None, record: Recorder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX enrolled_on ON academy_enrollment (enrolled_on)")
    before, after = changes(waiting(CHRISTMAS), section("statistics"))
    assert before.startswith("Nested Loop")
    assert after.startswith("Hash Join")
    record("query_plans_correlated_before.plan", before)
    record("query_plans_correlated_after.plan", after)


@ON_POSTGRESQL
def test_statistics_of_yesterday(plans: None, record: Recorder) -> None:
    new = Course.objects.create(title="New", slug="new", starts_on=CHRISTMAS, ends_on=CHRISTMAS)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on) "
            "SELECT id, %s, %s FROM academy_learner WHERE id <= 50000",
            [new.pk, rows.LAST_DAY],
        )
    before, after = changes(members(new.pk), "ANALYZE academy_enrollment")
    assert before.startswith("Nested Loop")
    assert after.startswith("Hash Join")
    record("query_plans_stale_before.plan", before)
    record("query_plans_stale_after.plan", after)


@ON_POSTGRESQL
def test_a_sort_that_does_not_fit(plans: None, record: Recorder) -> None:
    question = Enrollment.objects.filter(enrolled_on__year=2025).order_by("grade", "pk")
    lines = []
    with connection.cursor() as cursor:
        for memory in ("4MB", "64MB"):  # the first is the default
            cursor.execute(f"SET LOCAL work_mem = '{memory}'")
            method = next(line.strip() for line in shape(question).splitlines() if "Sort Method" in line)
            lines.append(f"work_mem = {memory}\n  {method}")
        cursor.execute("SELECT boot_val FROM pg_settings WHERE name = 'work_mem'")
        assert cursor.fetchone() == ("4096",)
    record("query_plans_sort.txt", "\n".join(lines))


# Statements that write


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/query_plans.py:wrong_plan")
def test_explain_analyze_updates(plans: None, session: Session) -> None:
    session("query_plans_update.pycon", plan=plan, wrong_plan=wrong_plan, Enrollment=Enrollment)
    before = Enrollment.objects.filter(course=2, grade=100).count()
    plan(2)
    assert Enrollment.objects.filter(course=2, grade=100).count() == before
    wrong_plan(2)
    assert Enrollment.objects.filter(course=2, grade=100).count() > before


# Finding the query


class Watched(services.PostgreSQL):
    """A server that counts statements: the extension must be there from the start."""

    def command(self, port: int) -> list[str]:
        """Return the command of the server."""
        return [*super().command(port), "-c", "shared_preload_libraries=pg_stat_statements"]


@pytest.mark.services
@pytest.mark.django_db
def test_the_record_of_statements(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(services.SERVERS, "postgresql", Watched)
    usual = connections.settings["default"], connections["default"]
    with ExitStack() as using:
        try:
            url = using.enter_context(services.running("postgresql"))
        except services.Unavailable as reason:
            pytest.skip(str(reason))
        connections.settings["default"] = connections.configure_settings({"default": environment.database(url)})[
            "default"
        ]
        del connections["default"]
        try:
            record("query_plans_statements.txt", work())
        finally:
            connections["default"].close()
            connections.settings["default"], connections["default"] = usual


def work() -> str:
    """Make some tables, work with them, and return what the server has counted."""
    with connection.schema_editor() as editor:
        for model in (ContentType, Permission, Group, User, Learner):
            editor.create_model(model)
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION pg_stat_statements")
        cursor.execute(
            "INSERT INTO academy_learner (name, email, joined_on) "
            "SELECT 'Ama ' || n, 'ama-' || n || '@example.com', '2026-01-05' FROM generate_series(1, 20000) AS n"
        )
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_stat_statements_reset()")
    for number in range(1, 301):
        Learner.objects.get(pk=number)
        Learner.objects.get(email__iexact=f"AMA-{number}@example.com")
    for _ in range(20):
        list(Learner.objects.values("joined_on").annotate(count=Count("pk")))
    with connection.cursor() as cursor:
        cursor.execute(section("statements"))
        return table([column.name for column in cursor.description], cursor.fetchall())


@ON_POSTGRESQL
def test_the_record_of_the_log(plans: None, record: Recorder) -> None:
    seen: list[str] = []
    connection.ensure_connection()

    def listen(notice: Any) -> None:
        seen.append(f"{notice.severity}:  {notice.message_primary}")

    connection.connection.add_notice_handler(listen)
    try:
        with connection.cursor() as cursor:
            cursor.execute(section("auto_explain"))
            cursor.execute("SET LOCAL client_min_messages = log")
            Learner.objects.get(email__iexact="AMA-77@example.com")
            for _ in range(20):
                Learner.objects.get(pk=77)
            cursor.execute("SET LOCAL auto_explain.log_min_duration = -1")
    finally:
        connection.connection.remove_notice_handler(listen)
    slow, *others = seen
    assert len(others) < 20, "quick ones are not logged, unless the machine stood still for a moment"
    slow = re.sub(r"duration: [\d.]+", "duration: …", re.sub(r"(cost|time)=\S+", r"\1=…", slow))
    record("query_plans_log.txt", slow)


# MariaDB


@pytest.mark.databases("mariadb")
@pytest.mark.django_db(transaction=True)
def test_the_record_of_a_plan_on_mariadb(academy: None, record: Recorder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE academy_enrollment, academy_learner")
    course = Course.objects.earliest("pk").pk  # keys go on counting on MariaDB
    found = json.loads(json.loads(passed(course).explain(analyze=True, format="json")))
    kept = {"table_name", "access_type", "key", "rows", "r_rows", "r_filtered", "r_loops"}

    def tables(part: Any) -> Iterator[dict[str, Any]]:
        for name, value in part.items() if isinstance(part, dict) else enumerate(part):
            if name == "table":
                yield {key: value[key] for key in value if key in kept}
            elif isinstance(value, dict | list):
                yield from tables(value)

    # Once another test has replaced the index of the foreign key, its name has no end that tells the target.
    text = re.sub(r"_fk_\w+", "", json.dumps(list(tables(found)), indent=2))
    record("query_plans_mariadb.json", text)
