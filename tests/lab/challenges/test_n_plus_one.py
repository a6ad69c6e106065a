"""A list must take as many queries for forty courses as for four."""

from __future__ import annotations

import json
import time
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

import django
import pytest
import rest_framework
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIRequestFactory

from lab.academy.models import Course, Enrollment, Lesson, User
from lab.academy.seed import seed
from lab.challenges.n_plus_one.broken import catalog as broken
from lab.challenges.n_plus_one.fixed import catalog as fixed
from tests.lab.marks import recorded_on_5_2
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_django import DjangoAssertNumQueries

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

View = Any
SIZES = (10, 20, 50, 100, 200)
# --8<-- [start:ready]
READY = Course.objects.filter(published=True).select_related("teacher").prefetch_related("tags", "lessons")
# --8<-- [end:ready]
VERSIONS: dict[str, View] = {
    "as found": broken.Catalog.as_view(throttle_classes=[]),
    "and select_related, prefetch_related": broken.Catalog.as_view(queryset=READY, throttle_classes=[]),
    "mended": fixed.Catalog.as_view(throttle_classes=[]),
}


def answer(view: View) -> list[dict[str, Any]]:
    """Return what the view answers, as a client reads it."""
    response = view(APIRequestFactory().get("/catalog/"))
    found: list[dict[str, Any]] = json.loads(response.render().content)
    return found


def teach() -> None:
    """Give every course but the first a teacher."""
    yaw = User.objects.create_user("teacher@example.com", first_name="Yaw")
    Course.objects.exclude(slug="databases").update(teacher=yaw)


def card(course: Course) -> dict[str, Any]:
    """Return what a card has to show, asked one by one."""
    lessons = [{"position": one.position, "title": one.title} for one in course.lessons.all()]
    longest = max(Lesson.objects.filter(course=course), key=lambda one: (one.minutes, -one.position))
    return {
        "title": course.title,
        "teacher": course.teacher.first_name if course.teacher else "to be announced",
        "tags": [tag.name for tag in course.tags.all()],
        "lessons": lessons,
        "seats_left": course.seats - Enrollment.objects.filter(course=course).count(),
        "longest": {"position": longest.position, "title": longest.title},
    }


# --8<-- [start:test]
@pytest.mark.broken("n_plus_one.txt")
@pytest.mark.wrong("lab/challenges/n_plus_one/broken/catalog.py:wrong_serializer")
@pytest.mark.django_db
def test_queries_do_not_grow(version: Version) -> None:
    view = version.module("catalog").Catalog.as_view()
    seed(courses=40, learners=10)
    teach()
    counted = {}
    for number in (36, 4):
        shown = Course.objects.filter(published=True)[:number]
        Course.objects.exclude(pk__in=[course.pk for course in shown]).update(published=False)
        with CaptureQueriesContext(connection) as sent:
            cards = answer(view)
        assert len(cards) == number, "a card for each published course"
        for got, course in zip(cards, shown, strict=True):
            assert got == card(course)
        counted[number] = len(sent)
    assert counted[36] == counted[4], "36 courses take more queries than 4"


# --8<-- [end:test]


@recorded_on_5_2("a condition on a boolean is written otherwise on SQLite")
def test_what_is_sent(academy: None, record: Recorder) -> None:
    teach()
    Course.objects.exclude(slug__in=["databases", "python"]).update(published=False)
    with queries() as sent:
        answer(VERSIONS["as found"])
    assert len(sent.statements) == 1 + 4 + 5  # the first course has no teacher to ask for
    sent.statements[:] = sent.statements[:5]
    record("n_plus_one_broken.sql", sent.text.split("\n", 1)[1].strip())


def test_what_is_read(academy: None, record: Recorder) -> None:
    """Count the queries of nine courses by the table that they begin with."""
    teach()
    tables: dict[str, list[int]] = {}
    for column, view in enumerate(VERSIONS.values()):
        with CaptureQueriesContext(connection) as sent:
            answer(view)
        for query in sent.captured_queries:
            table = query["sql"].split(' FROM "academy_')[1].split('"')[0]
            tables.setdefault(table, [0] * len(VERSIONS))[column] += 1
    rows = [f"| `{name}` | {' | '.join(map(str, counts))} |" for name, counts in tables.items()]
    head = ["| Table after `FROM` | As found | With `READY` | Mended |", "| --- | --- | --- | --- |"]
    record("n_plus_one_tables.md", "\n".join(head + rows))
    assert [sum(counts) for counts in zip(*tables.values(), strict=True)] == [45, 21, 3]


def test_who_asks(academy: None, record: Recorder) -> None:
    """Count the queries of each field alone, for the nine courses of a list."""
    teach()
    rows = ["| Field | Queries for 9 courses | As found, after prefetch_related |", "| --- | --- | --- |"]
    for name in broken.CardSerializer.Meta.fields:

        class Alone(broken.CardSerializer):
            def get_fields(self, only: str = name) -> dict[str, Any]:
                return {only: super().get_fields()[only]}

        counts = []
        for queryset in (broken.Catalog.queryset, READY):
            courses = list(queryset.all())
            with CaptureQueriesContext(connection) as sent:
                _ = Alone(courses, many=True).data
            counts.append(len(sent))
        rows.append(f"| `{name}` | {counts[0]} | {counts[1]} |")
    record("n_plus_one_fields.md", "\n".join(rows))
    assert rows[2:] == [
        "| `title` | 0 | 0 |",
        "| `teacher` | 8 | 0 |",
        "| `tags` | 9 | 0 |",
        "| `lessons` | 9 | 0 |",
        "| `seats_left` | 9 | 9 |",
        "| `longest` | 9 | 9 |",
    ]


def test_a_count_drops_the_order_of_the_model() -> None:
    counted = Course.objects.annotate(taken=Count("enrollments"))
    assert "ORDER BY" in str(Course.objects.all().query)
    assert "ORDER BY" not in str(counted.query)
    assert "ORDER BY" in str(counted.order_by("title", "pk").query)


def test_count_asks_no_more_once_the_rows_are_there(
    academy: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    course = Course.objects.prefetch_related("enrollments").get(pk=1)
    with django_assert_num_queries(0):
        assert course.enrollments.count() == len(course.enrollments.all()) > 0
    tagged = Course.objects.prefetch_related("tags").get(pk=1)
    with django_assert_num_queries(0):
        assert tagged.tags.count() == len(tagged.tags.all()) > 0
    with django_assert_num_queries(2):
        course.enrollments.filter(grade=None).count()
        course.enrollments.order_by("grade").first()


def test_one_course_gains_nothing(academy: None) -> None:
    Course.objects.exclude(slug="python").update(published=False)
    teach()
    counted = []
    for view in VERSIONS.values():
        with CaptureQueriesContext(connection) as sent:
            answer(view)
        counted.append(len(sent))
    assert counted == [6, 5, 3]


# Measured


@cache
def run(*sizes: int, repetitions: int) -> Mapping[str, Mapping[int, tuple[int, float]]]:
    """Return the queries and the milliseconds of a request, by version and number of courses."""
    seed(courses=max(sizes) * 10 // 9 + 1, learners=200)
    teach()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    found: dict[str, dict[int, tuple[int, float]]] = {name: {} for name in VERSIONS}
    for size in sorted(sizes, reverse=True):
        shown = Course.objects.filter(published=True)[:size]
        Course.objects.exclude(pk__in=[course.pk for course in shown]).update(published=False)
        taken: dict[str, list[float]] = {name: [] for name in VERSIONS}
        for turn in range(repetitions + 1):
            for name, view in VERSIONS.items():
                begin = time.perf_counter()
                answer(view)
                if turn:  # the first warms up
                    taken[name].append((time.perf_counter() - begin) * 1000)
        for name, view in VERSIONS.items():
            with CaptureQueriesContext(connection) as sent:
                assert len(answer(view)) == size
            found[name][size] = (len(sent), round(median(taken[name]), 1))
    return found


def series(title: str, y: str, which: int, description: str) -> Measurement:
    """Return the counts or the times of one run as a measurement."""
    found = run(*SIZES, repetitions=15)
    lines = {name: [(float(size), float(points[size][which])) for size in SIZES] for name, points in found.items()}
    return Measurement(
        title=title,
        description=description,
        x="courses in the list",
        y=y,
        versions={
            **dict([versions.server().split(" ")]),
            "Django": django.__version__,
            "Django REST framework": rest_framework.VERSION,
        },
        lines=lines,
    )


@pytest.mark.measures("n_plus_one_catalog")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_the_graph(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    """The words of the page about the graph."""
    counts = measured(
        "n_plus_one_catalog.json",
        lambda: series(
            "Queries of one request",
            "Queries of one request",
            0,
            "As found, the number of queries grows with the list; mended it stays.",
        ),
    ).lines
    times = measured(
        "n_plus_one_catalog_time.json",
        lambda: series(
            "Time of one request",
            "Milliseconds of one request",
            1,
            "As found and with a prefetch alone, the time grows faster than mended.",
        ),
    ).lines
    assert {queries for _, queries in counts["mended"]} == {3}
    assert counts["as found"][-1][1] > 900
    last = {name: points[-1][1] for name, points in times.items()}
    assert last["as found"] > 3 * last["mended"]
    assert last["as found"] > last["and select_related, prefetch_related"] > 1.5 * last["mended"]
    assert times["mended"][-1][1] > times["mended"][0][1]  # rows cost, too


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_the_experiment_small() -> None:
    found = run.__wrapped__(5, 10, repetitions=1)
    assert {queries for queries, _ in found["mended"].values()} == {3}
    grow = {name: points[10][0] - points[5][0] for name, points in found.items()}
    assert grow == {"as found": 25, "and select_related, prefetch_related": 10, "mended": 0}
