"""How many queries a query of GraphQL costs."""

from __future__ import annotations

import gc
import time
import warnings
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
import strawberry_django
from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.db.models import Count, F
from django.test import AsyncClient, Client
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from strawberry import relay
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.relay import DjangoCursorConnection, DjangoListConnection

from lab.academy.models import Course, Lesson, User
from lab.academy.seed import seed
from lab.graphql_api.n_plus_one import (
    Context,
    LoaderView,
    WrongLoaderView,
    hinted,
    loaded,
    plain,
    unhinted,
)
from lab.graphql_api.schema import schema
from tests.recording.chart import Measurement
from tests.recording.sql import queries
from tests.recording.versions import server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

CATALOG = "{ courses(first: 100) { edges { node { title lessons { title } } } } }"
SEATS = "{{ {} {{ title freeSeats }} }}"
NESTED = "{ courses(first: 100) { edges { node { enrollments(first: 3) { edges { node { grade } } } } } } }"


def context(user: User | None = None) -> Any:
    request: Any = SimpleNamespace(user=user or User(pk=0))
    return Context(request=request, response=SimpleNamespace())  # type: ignore[arg-type]


def execute(graph: strawberry.Schema, query: str, user: User | None = None) -> Any:
    """Return the data of an answer; whatever goes wrong fails the test."""
    if graph is loaded:
        result: Any = async_to_sync(graph.execute)(query, context_value=context(user))
    else:
        result = graph.execute_sync(query, context_value=context(user))
    assert result.errors is None
    return result.data


def fill(size: int) -> User:
    """Make courses, all of them open, and return their teacher."""
    seed(courses=size, learners=10)
    teacher = User.objects.create_user("teacher@example.com")
    Course.objects.update(published=True, teacher=teacher)
    return teacher


# How many queries in any case, and how many more for each course.
WAYS: dict[str, tuple[strawberry.Schema, str, int, int]] = {
    "lessons, plain resolvers": (plain, CATALOG, 1, 1),
    "lessons, data loader": (loaded, CATALOG, 2, 0),
    "lessons, optimizer": (schema, CATALOG, 2, 0),
    "three enrollments of each, plain": (plain, NESTED, 1, 1),
    "three enrollments of each, optimizer": (schema, NESTED, 2, 0),
    "free seats, plain": (unhinted, SEATS.format("wrong"), 1, 1),
    "free seats, optimizer that cannot see": (hinted, SEATS.format("wrong"), 1, 2),
    "free seats, optimizer with a hint": (hinted, SEATS.format("right"), 1, 0),
}


@pytest.mark.wrong("lab/graphql_api/n_plus_one.py:wrong_free_seats")
@pytest.mark.databases
@pytest.mark.parametrize("size", [10, 100])
def test_the_number_of_queries(db: None, size: int) -> None:
    teacher = fill(size)
    counted, expected = {}, {}
    for name, (graph, query, fixed, each) in WAYS.items():
        with queries() as sent:
            execute(graph, query, teacher)
        counted[name] = len(sent.statements)
        expected[name] = fixed + each * size
    assert counted == expected


def test_the_table_holds_these_numbers(record: Recorder) -> None:
    rows = [f"| {name} | {fixed + each * 10} | {fixed + each * 100} |" for name, (_, _, fixed, each) in WAYS.items()]
    record(
        "n_plus_one.md",
        "\n".join(["| Asked for, and how | 10 courses | 100 courses |", "| --- | ---: | ---: |", *rows]),
    )


@pytest.mark.databases
def test_every_way_answers_the_same(db: None) -> None:
    teacher = fill(10)
    pages = [execute(graph, CATALOG, teacher) for graph in (plain, loaded, schema)]
    assert pages[0] == pages[1] == pages[2]
    assert len(pages[0]["courses"]["edges"]) == 10
    assert execute(plain, NESTED, teacher) == execute(schema, NESTED, teacher)
    seats = execute(hinted, SEATS.format("right"))["right"]
    assert seats == execute(hinted, SEATS.format("wrong"))["wrong"]
    assert seats[0] == {"title": "Caching", "freeSeats": 26}


@pytest.mark.databases("postgresql")
def test_what_is_sent(academy: None, record: Recorder) -> None:
    teacher = User.objects.create_user("teacher@example.com")
    Course.objects.update(published=True, teacher=teacher)
    for name, graph, query, most in (
        ("n_plus_one_plain.sql", plain, CATALOG, 3),
        ("n_plus_one_loader.sql", loaded, CATALOG, 9),
        ("n_plus_one_optimizer.sql", schema, CATALOG, 9),
        ("n_plus_one_deferred.sql", hinted, SEATS.format("wrong"), 3),
        ("n_plus_one_annotated.sql", hinted, SEATS.format("right"), 9),
        ("n_plus_one_joined.sql", hinted, "{ roster { grade course { title } } }", 9),
    ):
        with queries() as sent:
            execute(graph, query, teacher)
        count = len(sent.statements)
        sent.statements[most:] = []
        text = sent.text
        if count > most:
            text = text.replace(f"-- {most} queries", f"-- {count} queries; the first {most}:")
        record(name, text)


@pytest.mark.databases("postgresql")
def test_a_relation_to_a_type_that_filters_is_not_joined(academy: None) -> None:
    ama = User.objects.get(email="ama@example.com")
    query = "{ enrollments { edges { node { grade course { title } } } } }"
    with queries() as sent:
        assert len(execute(schema, query, ama)["enrollments"]["edges"]) == 3
    first, second = sent.statements
    assert 'FROM "academy_course"' not in first
    assert 'FROM "academy_course"' in second
    assert '"academy_course"."published"' in second


@pytest.mark.databases
def test_a_loader_asks_once_for_each_key_of_a_request(academy: None) -> None:
    half = "courses { edges { node { lessons { title } } } }"
    twice = f"{{ a: {half} b: {half} }}"
    with queries() as sent:
        execute(loaded, twice)
    assert len(sent.statements) == 3, "the courses twice, the lessons once"


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
def test_a_loader_needs_the_asynchronous_view_and_no_asgi(quiet: None) -> None:
    seed(courses=1, learners=0)
    response = Client().post("/own/", {"query": CATALOG}, content_type="application/json")  # by WSGI
    (edge,) = response.json()["data"]["courses"]["edges"]
    assert edge["node"]["lessons"][0] == {"title": "Databases, part 1"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = loaded.execute_sync(CATALOG, context_value=context())
        assert answer.errors
        del answer
        gc.collect()


@pytest.mark.wrong("lab/graphql_api/n_plus_one.py:wrong_loader")
@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
def test_a_loader_of_the_process_answers_from_yesterday() -> None:
    seed(courses=1, learners=0)

    async def titles(url: str) -> list[str]:
        response = await AsyncClient().post(url, {"query": CATALOG}, content_type="application/json")
        (edge,) = response.json()["data"]["courses"]["edges"]
        return [lesson["title"] for lesson in edge["node"]["lessons"]]

    async def rename(url: str) -> tuple[list[str], list[str]]:
        before = await titles(url)
        await Lesson.objects.filter(position=1).aupdate(title=f"Renamed for {url}")
        return before, await titles(url)

    before, after = async_to_sync(rename)("/own/")
    assert before[0] == "Databases, part 1"
    assert after[0] == "Renamed for /own/"
    before, after = async_to_sync(rename)("/shared/")
    assert after == before
    assert "Renamed for /shared/" not in after


urlpatterns = [
    path("own/", login_not_required(csrf_exempt(LoaderView.as_view(schema=loaded)))),
    path("shared/", login_not_required(csrf_exempt(WrongLoaderView.as_view(schema=loaded)))),
]


@pytest.mark.measures("n_plus_one_time")
@pytest.mark.databases("postgresql")
def test_the_time(db: None, measured: Callable[..., Measurement]) -> None:
    def measure() -> Measurement:
        lines: dict[str, list[tuple[float, float]]] = {}
        for size in (10, 30, 100):
            with transaction.atomic():
                teacher = fill(size)
                for name in ("plain resolvers", "data loader", "optimizer"):
                    graph, query, *_ = WAYS[f"lessons, {name}"]
                    execute(graph, query, teacher)
                    times = []
                    for _ in range(15):
                        start = time.perf_counter()
                        execute(graph, query, teacher)
                        times.append(time.perf_counter() - start)
                    lines.setdefault(name, []).append((size, round(1000 * min(times), 1)))
                transaction.set_rollback(True)
        return Measurement(
            title="Time to answer courses with their lessons",
            description="Plain resolvers take the longest, and the distance grows with the number of courses.",
            x="courses",
            y="time (ms)",
            versions={
                "Django": version("django"),
                "Strawberry Django": version("strawberry-graphql-django"),
                "PostgreSQL": server().removeprefix("PostgreSQL "),
            },
            lines=lines,
        )

    lines = measured("n_plus_one_time.json", measure).lines
    at_100 = {name: dict(points)[100] for name, points in lines.items()}
    assert at_100["plain resolvers"] > 1.3 * at_100["optimizer"]
    assert at_100["optimizer"] > at_100["data loader"]


@strawberry_django.type(Lesson)
class Hinted:
    """A lesson that shows the title of its course."""

    @strawberry_django.field(select_related=["course"], only=["course__title"])
    def course_title(self) -> str:
        """Return a column of another table."""
        return self.course.title  # type: ignore[attr-defined, no-any-return]


@strawberry.type
class HintedQuery:
    """Where reading starts."""

    hinted: list[Hinted] = strawberry_django.field()


def test_a_resolver_that_reads_a_relation_is_joined_by_a_hint(academy: None) -> None:
    graph = strawberry.Schema(query=HintedQuery, extensions=[DjangoOptimizerExtension])
    with queries() as sent:
        assert execute(graph, "{ hinted { courseTitle } }")["hinted"][0] == {"courseTitle": "Databases"}
    assert len(sent.statements) == 1


@strawberry_django.type(Lesson)
class Part(relay.Node):
    """A lesson."""

    title: strawberry.auto


@strawberry_django.type(Course)
class Nested:
    """A course with its lessons behind cursors."""

    lessons: DjangoCursorConnection[Part] = strawberry_django.connection()


@strawberry_django.type(Course)
class Listed:
    """A course with its lessons behind offsets."""

    lessons: DjangoListConnection[Part] = strawberry_django.connection()


@strawberry.type
class NestedQuery:
    """Where reading starts."""

    nested: list[Nested] = strawberry_django.field()
    listed: list[Listed] = strawberry_django.field()


def test_a_nested_cursor_connection_fetches_what_its_cursors_need_row_by_row(academy: None) -> None:
    graph = strawberry.Schema(query=NestedQuery, extensions=[DjangoOptimizerExtension])
    counts = {}
    for name in ("nested", "listed"):
        with queries() as sent:
            execute(graph, f"{{ {name} {{ lessons(first: 1) {{ edges {{ node {{ title }} }} }} }} }}")
        counts[name] = len(sent.statements)
    assert counts == {"nested": 2 + 10, "listed": 2}
    assert "ROW_NUMBER() OVER (PARTITION BY" in sent.statements[1]


def test_a_count_forgets_the_order_of_the_model(academy: None) -> None:
    seats = Course.objects.annotate(free=F("seats") - Count("enrollments"))
    assert "ORDER BY" not in str(seats.query)
    assert "ORDER BY" in str(Course.objects.all().query)
