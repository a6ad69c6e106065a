"""How many queries a page takes, how long they take, and what keeps the number."""

from __future__ import annotations

import logging
import re
import time
from functools import partial
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection, models
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from lab.academy.models import Course, Enrollment, User
from lab.database_design import million as rows
from lab.database_design.query_optimization import (
    LATEST_GRADE,
    by_database,
    by_objects,
    by_values,
    counted,
    fetched_names,
    joined_names,
    levels,
    openings,
    page,
    sliced,
    with_best,
    with_sizes,
    with_tags,
    with_teacher,
    wrong_levels,
    wrong_names,
    wrong_openings,
    wrong_page,
    wrong_with_best,
)
from tests.lab.database_design.plans import nodes, shape, tree
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django.db.models import QuerySet
    from pytest_django import DjangoAssertNumQueries, Settings

    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

ON_POSTGRESQL = pytest.mark.databases("postgresql")
NAMES: dict[str, Any] = {
    "CaptureQueriesContext": CaptureQueriesContext,
    "Course": Course,
    "Enrollment": Enrollment,
    "connection": connection,
    "counted": counted,
    "fetched_names": fetched_names,
    "joined_names": joined_names,
    "levels": levels,
    "models": models,
    "openings": openings,
    "wrong_levels": wrong_levels,
    "wrong_names": wrong_names,
    "wrong_openings": wrong_openings,
}
STEPS: dict[str, Callable[[Any], Any]] = {
    "as written": wrong_page,
    "select_related: the teacher": with_teacher,
    "prefetch_related: the tags": with_tags,
    "a subquery: the number": with_sizes,
    "a sliced Prefetch: the latest grade": sliced,
    "a subquery: the latest grade": page,
}


def taught() -> None:
    """Give the courses teachers, twenty of them."""
    teachers = User.objects.bulk_create(
        User(email=f"teacher-{n}@example.com", password=make_password(None), first_name=f"Teacher {n}")
        for n in range(20)
    )
    for number, teacher in enumerate(teachers):
        Course.objects.alias(rest=F("pk") % 20).filter(rest=number).update(teacher=teacher)


def many(enrollments: int) -> None:
    """Fill the empty academy: 200 courses with teachers, and so many enrollments."""
    rows.fill(enrollments=enrollments, learners=enrollments // 5, courses=200)
    taught()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")


# Counting


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/query_optimization.py:wrong_names")
def test_the_record_of_counting(academy: None, session: Session) -> None:
    session("query_optimization_counting.pycon", **NAMES)
    with queries() as sent:
        wrong_names(Enrollment.objects.all())
    assert len(sent.statements) == 1 + 2 * 30


@ON_POSTGRESQL
def test_the_record_of_the_log(
    academy: None, record: Recorder, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="django.db.backends"):
        Course.objects.filter(slug="python").count()
        assert not caplog.messages, "only with DEBUG"
        settings.DEBUG = True
        Course.objects.filter(slug="python").count()
    (line,) = caplog.messages
    record("query_optimization_log.txt", re.sub(r"^\([\d.]+\)", "(0.…)", line).replace('"', ""))


def test_the_wrapper_needs_no_debug(academy: None, settings: Settings) -> None:
    assert not settings.DEBUG
    with counted() as sent:
        Course.objects.count()
    assert len(sent) == 1
    assert not connection.queries


# --8<-- [start:kept]
@pytest.mark.parametrize("number", [2, 8])
def test_the_page_takes_two_queries(
    academy: None, django_assert_num_queries: DjangoAssertNumQueries, number: int
) -> None:
    courses = Course.objects.order_by("pk")[:number]
    with django_assert_num_queries(2):
        assert len(page(courses)) == number


# --8<-- [end:kept]


def test_the_same_test_finds_the_slow_page(academy: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with pytest.raises(pytest.fail.Exception, match="Expected to perform 2 queries"), django_assert_num_queries(2):
        wrong_page(Course.objects.all())


# The page in steps


def counts(courses: Any) -> dict[str, int]:
    """Return how many queries each step takes; all show the same rows."""
    expected = page(courses.all())
    found = {}
    for name, step in STEPS.items():
        with counted() as sent:
            assert step(courses.all()) == expected
        found[name] = len(sent)
    return found


@pytest.mark.databases
@pytest.mark.wrong("lab/database_design/query_optimization.py:wrong_page")
def test_every_step_shows_the_same(academy: None) -> None:
    teacher = User.objects.create(email="teacher@example.com", first_name="Efua")
    Course.objects.update(teacher=teacher)
    Enrollment.objects.filter(course__slug="python").update(grade=None)
    Enrollment.objects.filter(course__slug="docker").delete()
    assert list(counts(Course.objects.all()).values()) == [41, 31, 22, 12, 3, 2]
    shown = {row.title: row for row in page(Course.objects.all())}
    assert shown["Python"].latest is None
    assert shown["Docker"].learners == 0
    assert shown["Django"].teacher == "Efua"


@ON_POSTGRESQL
def test_a_sliced_prefetch_numbers_all_rows(db: None) -> None:
    many(20_000)
    courses = Course.objects.order_by("title", "pk")[:100]
    with queries() as sent:
        sliced(courses)
    assert "ROW_NUMBER() OVER (PARTITION BY" in sent.statements[2]
    most = max(node["Actual Rows"] * node["Actual Loops"] for node in nodes(tree(sent.statements[2])))
    assert most > 5_000
    assert list(counts(courses).values()) == [401, 301, 202, 102, 3, 2]


# Prefetches and deferred fields


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/query_optimization.py:wrong_openings")
def test_a_filter_wastes_the_prefetch(academy: None, session: Session) -> None:
    session("query_optimization_openings.pycon", **NAMES)
    assert wrong_openings(Course.objects.all()) == openings(Course.objects.all())


def test_first_is_served_and_last_is_not(academy: None) -> None:
    for name, expected in (("first", 2), ("exists", 2), ("count", 2), ("last", 12)):
        with counted() as sent:
            for course in Course.objects.prefetch_related("lessons"):
                assert getattr(course.lessons, name)()
        assert len(sent) == expected


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/query_optimization.py:wrong_levels")
def test_a_deferred_field_is_a_query(academy: None, session: Session) -> None:
    session("query_optimization_levels.pycon", **NAMES)
    assert wrong_levels(Course.objects.all()) == levels(Course.objects.all())


@pytest.mark.skipif(django.VERSION < (6, 1), reason="shows what Django 6.1 brings: make next")
@ON_POSTGRESQL
def test_fetch_modes(academy: None, session: Session) -> None:
    session("query_optimization_fetch.pycon", **NAMES)


# One row or none


@ON_POSTGRESQL
@pytest.mark.wrong("lab/database_design/query_optimization.py:wrong_with_best")
def test_exists_repeats_nothing(db: None, record: Recorder) -> None:
    many(20_000)
    assert set(wrong_with_best()) == set(with_best())
    record("query_optimization_distinct.plan", shape(wrong_with_best().order_by()))
    # Django 6.1 writes the alias as "U0".
    record("query_optimization_exists.plan", shape(with_best().order_by()).replace('"U0"', "u0"))
    every = Enrollment.objects.filter(grade=100)
    lines = ["| Question | Rows read |", "| --- | ---: |"]
    for shown, ask in (("`count() > 0`", every.count), ("`exists()`", every.exists)):
        with queries() as sent:
            assert ask()
        scan = next(node for node in nodes(tree(sent.statements[0])) if node["Node Type"] == "Seq Scan")
        lines.append(f"| {shown} | {int(scan['Actual Rows'] + scan['Rows Removed by Filter']):,} |")
    record("query_optimization_any.md", "\n".join(lines))


# Time


def median_of(runs: int, functions: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median time of each function in milliseconds. They take turns, after one run to warm up."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(runs + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if turn:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: median(taken) for name, taken in times.items()}


def used() -> dict[str, str]:
    """Return the versions that a measurement depends on."""
    server, release = versions.server().split()
    return {"Django": version("django"), "psycopg": version("psycopg"), server: release}


def read(way: Callable[[Any], object], some: QuerySet[Any]) -> None:
    """Read rows in one of the ways, from a queryset that has kept none."""
    way(some.all())


def measure_rows(sizes: tuple[int, ...] = (10, 100, 1000), runs: int = 7) -> Measurement:
    """Return how long the names of enrollments take in three ways."""
    ways = {
        "a query for each name": wrong_names,
        "prefetch_related: three queries": fetched_names,
        "select_related: one query": joined_names,
    }
    lines: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for size in sizes:
        some = Enrollment.objects.order_by("pk")[:size]
        taken = median_of(runs, {name: partial(read, way, some) for name, way in ways.items()})
        for name, milliseconds in taken.items():
            lines[name].append((size, round(milliseconds, 2)))
    return Measurement(
        title="The names of learners and courses",
        description="A query for each name takes far longer than one or three for all, and the gap grows.",
        x="enrollments",
        y="time (ms)",
        versions=used(),
        lines=lines,
        log_x=True,
        log_y=True,
    )


def measure_page(size: int = 100, runs: int = 7) -> Measurement:
    """Return how long each step of the page takes."""
    courses = Course.objects.order_by("title", "pk")[:size]
    taken = median_of(runs, {name: partial(read, step, courses) for name, step in STEPS.items()})
    number = counts(courses)
    bars = {f"{name} ({number[name]})": round(milliseconds, 1) for name, milliseconds in taken.items()}
    with connection.schema_editor() as editor:
        editor.add_index(Enrollment, LATEST_GRADE)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE academy_enrollment")
    bars["the same, with an index (2)"] = round(median_of(runs, {"": lambda: page(courses.all())})[""], 1)
    return Measurement(
        title=f"A page of {size} courses, step by step",
        description="The time falls with the queries, and an index takes most of what is left.",
        x="step, and its queries",
        y="time (ms)",
        versions=used(),
        bars=bars,
    )


def measure_average(runs: int = 5) -> Measurement:
    """Return how long an average takes where it is computed."""
    ways = {"objects": by_objects, "values_list": by_values, "Avg in the database": by_database}
    taken = median_of(runs, ways)
    return Measurement(
        title=f"The average of {Enrollment.objects.count():,} grades",
        description="Objects take longest, a list of values less, the database least.",
        x="computed from",
        y="time (ms)",
        versions=used(),
        bars={name: round(milliseconds, 1) for name, milliseconds in taken.items()},
    )


@pytest.mark.measures("query_optimization")
@ON_POSTGRESQL
def test_fewer_queries_take_less_time(db: None, measured: Measured, request: pytest.FixtureRequest) -> None:
    anew = bool(request.config.getoption("measure"))
    many(100_000 if anew else 5_000)
    by_rows = measured("query_optimization_rows.json", measure_rows)
    for (size, each), (_, three), (_, one) in zip(*by_rows.lines.values(), strict=True):
        assert each > 2 * three
        assert three > one or size < 1000
        assert each > 10 * one or size < 100
    page_bars = measured("query_optimization_page.json", measure_page).bars
    written, _, _, numbered, by_prefetch, by_subquery, indexed = page_bars.values()
    assert written > numbered > by_prefetch
    assert written > 5 * by_subquery
    assert min(by_prefetch, by_subquery) > indexed
    assert written > 10 * indexed
    objects, values, database = measured("query_optimization_average.json", measure_average).bars.values()
    assert objects > 5 * values
    assert values > 2 * database
    if anew:
        return
    # What holds on every machine:
    assert by_objects() == pytest.approx(by_values()) == pytest.approx(by_database())
    each_line, _, one_line = measure_rows((200,), 1).lines.values()
    assert each_line[0][1] > 3 * one_line[0][1]
    small = list(measure_page(50, 1).bars.values())
    assert small[0] > 3 * small[-1]
    assert measure_average(1).bars
