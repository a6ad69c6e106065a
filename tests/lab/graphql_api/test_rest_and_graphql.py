"""The same screen from REST and from GraphQL: what it costs, and what happens when something goes wrong."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import include, path
from graphql import NoDeprecatedCustomRule, build_schema, parse, validate

from lab.academy.models import Course, Enrollment, Learner, Lesson
from lab.graphql_api.rest_and_graphql import by_query, by_resource, by_screen
from lab.graphql_api.schema import breaking, schema
from lab.rest_apis.serializers import CourseSerializer
from tests.lab.graphql_api.operations import operation
from tests.lab.people import bearer
from tests.recording.code import lines_of_code
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.academy.models import User
    from lab.graphql_api.rest_and_graphql import Screen
    from tests.lab.people import People
    from tests.recording.files import Recorder

pytestmark = pytest.mark.urls(__name__)
urlpatterns = [path("", include("lab.graphql_api.rest_and_graphql")), path("", include("lab.urls"))]

QUERY = operation("my_courses.graphql")
MODULE = "lab/graphql_api/rest_and_graphql.py"
WAYS = ("resources", "endpoint", "query")


class App:
    """The client of a learner: it keeps what it is told to keep, and remembers what it was sent."""

    def __init__(self, user: User | None) -> None:
        self.client = Client(headers=bearer(user) if user else {})
        self.client.raise_request_exception = False
        self.kept: dict[str, tuple[str, Any]] = {}
        self.answers: list[Any] = []
        self.sent = 0

    def get(self, url: str) -> Any:
        """Return what the API answers, or None if that is an error."""
        etag, body = self.kept.get(url, ("", None))
        self.answers.append(self.client.get(url, headers={"If-None-Match": etag} if etag else {}))
        response = self.answers[-1]
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return body
        if response.status_code != HTTPStatus.OK:
            return None
        if "ETag" in response.headers:
            self.kept[url] = (response["ETag"], response.json())
        return response.json()

    def post(self, query: str) -> Any:
        """Return what the graph answers."""
        body = json.dumps({"query": query}, separators=(",", ":"))
        self.sent += len(body)
        self.answers.append(self.client.post("/graphql/", body, content_type="application/json"))
        response = self.answers[-1]
        return response.json()

    def screen(self, way: str) -> Screen:
        """Return the screen, fetched in one of three ways."""
        self.answers, self.sent = [], 0
        if way == "query":
            return by_query(self.post(QUERY)["data"])
        return {"resources": by_resource, "endpoint": by_screen}[way](self.get)

    @property
    def bytes(self) -> int:
        """The length of all answers."""
        return sum(len(answer.content) for answer in self.answers)


def values(data: Any) -> int:
    """Return how many single values JSON holds."""
    if isinstance(data, dict | list):
        return sum(map(values, data.values() if isinstance(data, dict) else data))
    return 1


@pytest.mark.databases
def test_all_three_ways_lead_to_the_same_screen(people: People) -> None:
    app = App(people.ama)
    one, two, three = (app.screen(way) for way in WAYS)
    assert one == two == three
    assert [course["title"] for course in one if course] == ["Caching", "Python", "REST APIs"]
    assert [len(course["lessons"]) for course in one if course] == [8, 7, 5]


@pytest.mark.databases
@pytest.mark.parametrize("courses", [1, 3, 9])
def test_requests_and_queries_grow_with_the_courses_in_one_way_only(people: People, courses: int) -> None:
    Enrollment.objects.filter(learner__user=people.ama).delete()
    Enrollment.objects.bulk_create(
        Enrollment(learner=Learner.objects.get(user=people.ama), course=course)
        for course in Course.objects.filter(published=True)[:courses]
    )
    app = App(people.ama)
    counts = {}
    for way in WAYS:
        with queries() as sent:
            assert len(app.screen(way)) == courses
        counts[way] = (len(app.answers), len(sent.statements))
    assert counts == {"resources": (1 + 2 * courses, 3 + 7 * courses), "endpoint": (1, 6), "query": (1, 5)}


@pytest.mark.databases("postgresql")
def test_what_the_screen_costs(people: People, record: Recorder) -> None:
    rows: dict[str, list[str]] = {}
    packed: dict[str, float] = {}

    def add(name: str, value: int) -> None:
        rows.setdefault(name, []).append(f"{value:,}")

    for way in WAYS:
        app = App(people.ama)
        with queries() as sent:
            screen = app.screen(way)
        answers = list(app.answers)
        add("Requests", len(answers))
        add("Database queries", len(sent.statements))
        add("Bytes of the answers", app.bytes)
        packed[way] = sum(len(gzip.compress(answer.content)) for answer in answers) / app.bytes
        add("Bytes of the request bodies", app.sent)
        add(
            f"Values sent; the screen shows {values(screen)}", sum(values(json.loads(each.content)) for each in answers)
        )
        add("Answers with an `ETag`", sum("ETag" in each.headers for each in answers))
        with queries() as again:
            assert app.screen(way) == screen
        assert len(again.statements) == len(sent.statements), "a 304 asks the database too"
        add("Bytes when nothing has changed", app.bytes)
        section = {"resources": "by_resource", "endpoint": "by_screen", "query": "by_query"}[way]
        add(
            "Lines of code in the client",
            lines_of_code(MODULE, section) + (len(QUERY.splitlines()) if way == "query" else 0),
        )
        add(
            "Lines of code in the server for this screen alone",
            lines_of_code(MODULE, "endpoint") if way == "endpoint" else 0,
        )
    head = ["What", "REST, by resource", "REST, made for the screen", "GraphQL"]
    body = [head, ["---", *["---:"] * 3], *([name, *cells] for name, cells in rows.items())]
    record("rest_and_graphql.md", "\n".join("| " + " | ".join(row) + " |" for row in body))
    assert [rows["Requests"], rows["Database queries"]] == [["7", "1", "1"], ["24", "6", "5"]]
    assert rows["Answers with an `ETag`"] == ["3", "1", "0"]
    assert rows["Bytes when nothing has changed"][1] == "0"
    assert 0.45 < packed["resources"] < 0.65, "about half: each zlib packs a little differently"
    assert max(packed["endpoint"], packed["query"]) < 0.33


def test_no_cache_may_keep_the_answer_to_a_post(people: People) -> None:
    app = App(people.ama)
    for way in WAYS:
        app.screen(way)
        for answer in app.answers:
            told = answer.headers.get("Cache-Control", "")
            assert "max-age" not in told
            assert "public" not in told
        assert (app.answers[0].headers.get("Cache-Control") == "private, no-cache") is (way == "endpoint")
    by_get = app.client.get("/graphql/", {"query": "{ me { name } }"})
    assert by_get.json()["data"] == {"me": {"name": "Ama"}}
    assert by_get.headers["Cache-Control"] == "private, no-cache"
    etag = {"If-None-Match": by_get.headers["ETag"]}
    assert (
        app.client.get("/graphql/", {"query": "{ me { name } }"}, headers=etag).status_code == HTTPStatus.NOT_MODIFIED
    )
    body = {"query": "{ me { name } }"}
    by_post = app.client.post("/graphql/", body, content_type="application/json", headers=etag)
    assert by_post.status_code == HTTPStatus.OK


def test_what_the_new_media_type_says_when_a_part_fails(people: People) -> None:
    body = json.dumps({"query": QUERY})
    accept = {"Accept": "application/graphql-response+json"}
    with broken("academy_lesson"):
        answer = App(people.ama).client.post("/graphql/", body, content_type="application/json", headers=accept)
    assert answer.status_code == 294


def test_only_the_resources_give_lessons_in_pages(people: People) -> None:
    course = Course.objects.get(slug="caching")
    Lesson.objects.bulk_create(Lesson(course=course, position=n, title="L", minutes=1) for n in range(100, 120))
    app = App(people.ama)
    screens = {way: app.screen(way) for way in WAYS}
    assert {way: len((found[0] or {})["lessons"]) for way, found in screens.items()} == {
        "resources": 20,
        "endpoint": 28,
        "query": 28,
    }


@contextmanager
def broken(table: str) -> Iterator[None]:
    """Let every query that reads a table fail."""

    def run(execute: Any, sql: str, *rest: Any) -> Any:
        if f"FROM {connection.ops.quote_name(table)}" in sql:
            raise RuntimeError(table)
        return execute(sql, *rest)

    with connection.execute_wrapper(run):
        yield


def statuses(app: App, way: str) -> str:
    """Return the status codes of a screen, from a client that goes on without the lists that fail."""
    app.answers = []
    if way == "query":
        body = app.post(QUERY)
        status = app.answers[-1].status_code
        if body["data"] is None:
            assert [error["path"] for error in body["errors"]] == [["enrollments"]]
            return f"{status}: `data` null, 1 in `errors`"
        assert "errors" not in body
        return f"{status}: `enrollments` {len(body['data']['enrollments']['edges'])}"
    if way == "endpoint":
        app.get("/screens/my-courses/")
    else:
        by_resource(
            lambda url: app.get(url) or ({"results": []} if url.endswith(("enrollments/", "lessons/")) else None)
        )
    counts = Counter(each.status_code for each in app.answers)
    return ", ".join(f"{status} ({count})" if way == "resources" else str(status) for status, count in counts.items())


@pytest.mark.databases("postgresql")
def test_what_each_client_sees_when_a_part_fails(people: People, record: Recorder) -> None:
    rows = [["What happens", "REST, by resource", "REST, made for the screen", "GraphQL"], ["---"] * 4]

    def add(what: str, user: User | None) -> list[str]:
        rows.append([what, *(statuses(App(user), way) for way in WAYS)])
        return rows[-1][1:]

    assert add("all is well", people.ama) == ["200 (7)", "200", "200: `enrollments` 3"]
    with broken("academy_lesson"):
        found = add("the lessons cannot be read", people.ama)
    assert found == ["200 (4), 500 (3)", "500", "200: `data` null, 1 in `errors`"]
    Course.objects.filter(slug="python").update(published=False)
    assert add("a course has become a draft", people.ama)[0] == "200 (5), 404 (1)"
    screens = [App(people.ama).screen(way) for way in WAYS]
    assert screens[0] == screens[1] == screens[2]
    assert [course is None for course in screens[0]] == [False, True, False]
    assert add("nobody is signed in", None) == ["401 (1)", "401", "200: `enrollments` 0"]
    record("rest_and_graphql_failures.md", "\n".join("| " + " | ".join(row) + " |" for row in rows))


@pytest.mark.databases("postgresql")
def test_a_field_goes(people: People, session: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    old = schema.as_str()
    without = old.replace("  tags: [Tag!]!\n", "")
    notice = old.replace("  tags: [Tag!]!\n", '  tags: [Tag!]! @deprecated(reason: "Use topics.")\n')
    assert breaking(old, without) == ["Field Course.tags was removed."]
    assert validate(build_schema(notice), parse(QUERY)) == []
    fields = [name for name in CourseSerializer.Meta.fields if name != "tags"]
    monkeypatch.setattr(CourseSerializer.Meta, "fields", fields)
    monkeypatch.delitem(CourseSerializer._declared_fields, "tags")
    session(
        "rest_and_graphql_removed.pycon",
        by_resource=by_resource,
        get=App(people.ama).get,
        query=QUERY,
        parse=parse,
        validate=validate,
        schema_without_tags=build_schema(without),
        schema_with_notice=build_schema(notice),
        NoDeprecatedCustomRule=NoDeprecatedCustomRule,
    )


def test_the_endpoint_is_for_learners_and_shows_only_their_own(people: People) -> None:
    assert App(people.teacher).get("/screens/my-courses/")["results"] == []
    assert App(None).get("/screens/my-courses/") is None
    teacher = App(people.teacher)
    assert teacher.screen("query"), "the graph has no field for one's own alone: a teacher gets the class too"
