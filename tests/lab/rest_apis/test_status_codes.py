"""Each status code of the API, produced on the wire."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from django.core.cache import cache, caches
from django.db import OperationalError
from rest_framework.throttling import AnonRateThrottle

from lab.academy.models import Course, Lesson
from lab.rest_apis import views
from tests.lab.outage import database_down
from tests.lab.rest_apis.wire import sender, stable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings
    from pytest_django.live_server_helper import LiveServer

    from lab.academy.models import User
    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

COURSES = "/api/v1/courses/"
ENROLLMENTS = "/api/v1/enrollments/"
LESSONS = COURSES + "python/lessons/"
GO = '{"slug": "go", "title": "Go", "starts_on": "2026-01-01", "ends_on": "2026-02-01"}'
pytestmark = [pytest.mark.urls("lab.rest_apis.status_codes"), pytest.mark.django_db(transaction=True)]


@dataclass
class Row:
    """A request, what it stands for, its answer, and what a client makes of that."""

    what: str
    code: int
    then: str
    method: str = "GET"
    path: str = COURSES
    who: str = ""
    body: str = ""
    headers: dict[str, str] | None = None
    shows: str = ""  # the header of the response that matters
    fault: str = ""  # what is broken meanwhile


ROWS = [
    Row("read", 200, "uses it"),
    Row("made", 201, "goes on with the address", "POST", who="teacher", body=GO, shows="Location"),
    Row("done, nothing to say", 204, "reads no body", "DELETE", LESSONS + "1/", "teacher"),
    Row("the slash is missing", 301, "corrects its address", path=COURSES[:-1], shows="Location"),
    Row("moved for good, whatever the method", 308, "repeats the request there",
        "POST", "/api/v0/courses/", "teacher", GO, shows="Location"),
    Row("not changed since the client's `ETag`", 304, "uses its copy",
        path=COURSES + "python/", headers={"If-None-Match": "{etag}"}),
    Row("the values are not valid", 400, "mends them; `errors` says which", "POST", who="teacher", body="{}"),
    Row("nobody has signed in", 401, "signs in, and repeats", "POST", body=GO, shows="WWW-Authenticate"),
    Row("known, and may not", 403, "gives up", "PATCH", COURSES + "python/", "ama", "{}"),
    Row("not there", 404, "gives up", path=COURSES + "nothing/"),
    Row("there, and not for this client to know", 404, "gives up", path=COURSES + "queues/"),
    Row("the resource has no such method", 405, "picks one that is allowed", "DELETE", who="teacher", shows="Allow"),
    Row("no format that `Accept` names", 406, "asks for JSON", headers={"Accept": "text/csv"}),
    Row("the state forbids it", 409, "changes the state first", "DELETE", COURSES + "python/", "teacher"),
    Row("another state than in `If-Match`", 412, "reads it again",
        "PATCH", COURSES + "python/", "teacher", "{}", {"If-Match": '"old"'}),
    Row("too many bytes", 413, "sends less", "POST", who="teacher", body=" " * 2_700_000),
    Row("a `Content-Type` that nothing here reads", 415, "sends JSON",
        "POST", who="teacher", body="<a/>", headers={"Content-Type": "text/xml"}),
    Row("a known `Idempotency-Key`, another body", 422, "makes a new key",
        "POST", "/api/once/python/lessons/", "teacher", '{"title": "Sets"}', {"Idempotency-Key": "of the first"}),
    Row("too many requests", 429, "waits so many seconds", shows="Retry-After", fault="hurry"),
    Row("a bug", 500, "reports it; may repeat a GET", fault="bug"),
    Row("the database does not answer", 503, "waits; repeats what it may repeat",
        shows="Retry-After", fault="database"),
]  # fmt: skip


@contextmanager
def broken(fault: str, database: str) -> Iterator[None]:
    """Let something go wrong."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as outage:
        if fault == "hurry":
            patch.setattr(AnonRateThrottle, "rate", "0/min", raising=False)
        if fault == "bug":
            patch.delattr(views.CourseViewSet, "serializer_class")
        if fault == "database" and database == "sqlite":  # in memory: it cannot go away

            def refuse(self: object) -> None:
                raise OperationalError

            patch.setattr(views.CourseViewSet, "get_queryset", refuse)
        elif fault == "database":
            outage.enter_context(database_down())
        yield


@pytest.fixture
def send(people: People, wire: Callable[..., Exchange], settings: Settings, database: str) -> Callable[[Row], Exchange]:
    """``send(row)`` sends the request of a row."""
    settings.CACHES = {
        **settings.CACHES,
        "answers": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "answers"},
    }
    caches["answers"].clear()
    first = sender(people.teacher) | {"Idempotency-Key": "of the first"}
    assert wire("POST", "/api/once/python/lessons/", first, '{"title": "Tuples"}').status == 201

    (etag,) = wire("GET", COURSES + "python/").headers("ETag")

    def one(row: Row) -> Exchange:
        cache.clear()
        headers = sender(getattr(people, row.who)) if row.who else {"Content-Type": "application/json"}
        headers |= {name: value.format(etag=etag) for name, value in (row.headers or {}).items()}
        with broken(row.fault, database):
            return wire(row.method, row.path, headers, row.body)

    return one


@pytest.mark.databases
def test_every_situation_has_its_code(send: Callable[[Row], Exchange], record: Recorder) -> None:
    assert not Course.objects.get(slug="queues").published
    lines = ["| What happened | Code | Header | The client |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        answer = send(row)
        assert answer.status == row.code, (row.what, answer.response)
        header = ""
        if row.shows:
            (value,) = answer.headers(row.shows)
            header = f"`{row.shows}: {value}`"
        lines.append(f"| {row.what} | {row.code} | {header} | {row.then} |")
        if row.code >= 400:
            body = json.loads(answer.body)
            assert answer.headers("Content-Type") == ["application/problem+json"], row.what
            assert body["status"] == row.code
            assert "type" in body
        if row.code in {204, 301, 304, 308}:
            assert answer.body == "", row.what
    record("status_codes.md", "\n".join(lines))


@pytest.mark.databases("postgresql")
def test_three_exchanges(send: Callable[[Row], Exchange], record: Recorder) -> None:
    rows = {row.what: row for row in ROWS}
    record("status_codes_201.http", stable(send(rows["made"]).text))
    record("status_codes_401.http", stable(send(rows["nobody has signed in"]).text))
    record("status_codes_403.http", stable(send(rows["known, and may not"]).text))


@pytest.mark.databases
def test_what_was_made_is_where_location_says(people: People) -> None:
    free = Course.objects.filter(published=True).exclude(learners=people.kofi.learner)[0]
    made: list[tuple[User, str, dict[str, Any]]] = [
        (people.teacher, COURSES, json.loads(GO)),
        (people.teacher, LESSONS, {"position": 90, "title": "Sets", "minutes": 30}),
        (people.kofi, ENROLLMENTS, {"course": free.slug}),
    ]
    for user, path, body in made:
        client = people.client(user)
        answer = client.post(path, body)
        assert answer.status_code == 201, answer.content
        there = client.get(answer["Location"])
        assert there.status_code == 200
        assert {**there.json(), **answer.json()} == there.json()
    assert Lesson.objects.filter(title="Sets", position=90).exists()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_without_the_slash_every_method_gets_301(wire: Callable[..., Exchange], method: str) -> None:
    assert wire(method, COURSES[:-1], {"Content-Type": "application/json"}, "{}").status == 301


@pytest.mark.databases("sqlite")
def test_a_client_may_post_into_the_void(people: People, live_server: LiveServer) -> None:
    before = Course.objects.count()
    request = Request(live_server.url + COURSES[:-1], GO.encode(), sender(people.teacher))  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310
        assert answer.status == 200
        assert json.load(answer)["count"] == Course.objects.filter(published=True).count()
    assert Course.objects.count() == before


@pytest.mark.databases
def test_what_is_hidden_looks_like_what_is_not_there(people: People) -> None:
    visitor = people.client()
    hidden, missing = visitor.get(COURSES + "queues/"), visitor.get(COURSES + "nothing/")
    assert (hidden.status_code, hidden.content, hidden.headers) == (404, missing.content, missing.headers)
