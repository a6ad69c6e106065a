"""The methods of HTTP: what each does when it comes once, comes again, or leaves something out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
from corsheaders.defaults import default_methods
from django.core.management import call_command
from django.db import connection
from django.urls import path
from django.views.generic import View
from drf_spectacular.generators import SchemaGenerator
from rest_framework.permissions import SAFE_METHODS
from rest_framework.test import APIClient

from lab.academy.models import Course, Lesson
from lab.rest_apis import resources
from tests.lab.people import PASSWORD, People

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings
    from pytest_django.live_server_helper import LiveServer
    from rest_framework.response import Response

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Wire = Callable[..., Exchange]

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
V1 = "/api/v1/courses/"
COURSE = {
    "slug": "python",
    "title": "Python 3",
    "seats": 20,
    "starts_on": "2026-01-12",
    "ends_on": "2026-02-23",
}
pytestmark = pytest.mark.urls("lab.rest_apis.resources")


@pytest.fixture
def names(people: People) -> dict[str, Any]:
    """What the recorded sessions name."""
    return {"teacher": people.client(people.teacher), "python": f"{V1}python/", "course": COURSE}


@pytest.fixture
def answers(transactional_db: None, settings: Settings) -> Iterator[None]:
    """The table of answers, for the time of a test."""
    settings.CACHES = {**settings.CACHES, "answers": resources.ANSWERS}
    call_command("createcachetable")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {resources.ANSWERS['LOCATION']}")


# On the wire


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_three_methods_that_only_ask(people: People, wire: Wire, record: Recorder) -> None:
    lesson = f"{V1}python/lessons/1/"
    got = wire("GET", lesson)
    head = wire("HEAD", lesson)
    assert (got.status, head.status, head.body) == (200, 200, "")
    assert head.headers("Content-Length") == got.headers("Content-Length") == [str(len(got.body.encode()))]
    record("resources_get.http", got.text)
    options = wire("OPTIONS", lesson)
    assert options.headers("Allow") == ["GET, PUT, PATCH, DELETE, HEAD, OPTIONS"]
    record("resources_options.http", options.text)


@pytest.mark.databases
def test_an_unknown_method_is_answered_with_the_known_ones(people: People) -> None:
    answer = people.client().post(f"{V1}python/", {})
    assert answer.status_code == 401  # who asks comes before what they may ask for
    answer = people.client(people.teacher).post(f"{V1}python/", {})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, PUT, PATCH, DELETE, HEAD, OPTIONS")


# The same request twice


@pytest.mark.databases("postgresql")
def test_the_record_of_put(names: dict[str, Any], session: Session) -> None:
    session("resources_put.pycon", teacher=names["teacher"])
    session("resources_whole.pycon", **names)


@pytest.mark.databases
def test_put_twice_is_put_once_and_does_not_replace(names: dict[str, Any]) -> None:
    teacher, python = names["teacher"], names["python"]
    before = teacher.get(python).json()
    answers = [teacher.put(python, COURSE).json() for _ in range(2)]
    assert answers[0] == answers[1] == {**before, **COURSE}
    assert answers[0]["description"]


@pytest.mark.databases
def test_a_whole_put_replaces_or_is_refused(names: dict[str, Any]) -> None:
    teacher = names["teacher"]
    refused = teacher.put("/whole/python/", COURSE)
    assert refused.status_code == 400
    assert {error["pointer"] for error in refused.json()["errors"]} == {"#/description", "#/level", "#/tags"}
    whole = {**COURSE, "description": "", "level": "advanced", "tags": []}
    replaced = teacher.put("/whole/python/", whole)
    assert replaced.json() == {**whole, "published": True}
    assert teacher.patch("/whole/python/", {"seats": 3}).json()["seats"] == 3


@pytest.mark.django_db
def test_put_does_not_create(names: dict[str, Any]) -> None:
    assert names["teacher"].put(f"{V1}new/", {**COURSE, "slug": "new"}).status_code == 404


@pytest.mark.databases("postgresql")
def test_the_record_of_delete(names: dict[str, Any], session: Session) -> None:
    session("resources_delete.pycon", **names)


@pytest.mark.databases("postgresql")
def test_the_record_of_patch(names: dict[str, Any], session: Session) -> None:
    session("resources_patch.pycon", **names)
    session("resources_patch_once.pycon", **names)


@TOGETHER
@pytest.mark.databases
def test_a_patch_may_add_up_and_a_condition_stops_the_second(names: dict[str, Any]) -> None:
    teacher, python = names["teacher"], names["python"]
    seats = teacher.get(python).json()["seats"]
    assert [teacher.patch(python, {"seats": 8}).json()["seats"] for _ in range(2)] == [8, 8]
    assert [teacher.patch("/seats/python/", {"more": 5}).json()["seats"] for _ in range(2)] == [13, 18]
    seen = {"If-Match": teacher.get(python)["ETag"]}
    answers = [teacher.patch("/seats/python/", {"more": 5}, headers=seen).status_code for _ in range(2)]
    assert (answers, teacher.get(python).json()["seats"]) == ([200, 412], 23)
    assert teacher.patch("/seats/python/", {"more": -5}).status_code == 400
    assert seats != 23


# A POST whose answer was lost


@pytest.mark.wrong("lab/rest_apis/resources.py:wrong_append")
@pytest.mark.databases
def test_a_post_that_comes_again_is_done_again(names: dict[str, Any], people: People) -> None:
    last = people.python.lessons.count()
    lesson = {"title": "Closures", "minutes": 40}
    answers = [names["teacher"].post("/append/python/", lesson) for _ in range(2)]
    assert [answer.json()["position"] for answer in answers] == [last + 1, last + 2]
    assert answers[1]["Location"] == f"/append/python/{last + 2}/"
    assert people.python.lessons.filter(title="Closures").count() == 2


@pytest.mark.databases
def test_the_database_refuses_what_must_be_unique_and_the_client_learns_nothing(people: People) -> None:
    learner = people.client(people.kofi)
    course = Course.objects.filter(published=True).exclude(learners=people.kofi.learner)[0]
    answers = [learner.post("/api/v1/enrollments/", {"course": course.slug}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert course.enrollments.filter(learner=people.kofi.learner).count() == 1


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_a_key(people: People, answers: None, names: dict[str, Any], session: Session) -> None:
    known = {**names, "lesson": {"title": "Closures", "minutes": 40}}
    session("resources_append.pycon", **names)
    session("resources_key.pycon", **known)


@TOGETHER
@pytest.mark.databases
def test_a_key_belongs_to_one_user_one_place_and_one_body(people: People, answers: None) -> None:
    teacher, other = people.client(people.teacher), people.client(people.registrar)
    Course.objects.filter(slug="django").update(teacher=people.registrar)
    lesson, key = {"title": "Closures", "minutes": 40}, {"Idempotency-Key": '"a-key-of-mine"'}
    before = Lesson.objects.count()
    first, again = (teacher.post("/once/python/", lesson, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.json(), first["Location"]) == (again.json(), again["Location"])
    assert Lesson.objects.count() == before + 1
    changed = teacher.post("/once/python/", {**lesson, "minutes": 5}, headers=key)
    assert (changed.status_code, changed["Content-Type"]) == (422, "application/problem+json")
    assert other.post("/once/python/", lesson, headers=key).status_code == 403
    assert other.post("/once/django/", lesson, headers=key).status_code == 201
    assert Lesson.objects.count() == before + 2
    Course.objects.filter(slug="python").update(teacher=people.registrar)  # the same place, key and body
    assert other.post("/once/python/", lesson, headers=key).status_code == 201
    assert Lesson.objects.count() == before + 3
    Course.objects.filter(slug="python").update(teacher=people.teacher)
    for bad in ({}, {"Idempotency-Key": '"1"'}, {"Idempotency-Key": "1" * 101}):
        assert teacher.post("/once/python/", lesson, headers=bad).status_code == 400
    assert Lesson.objects.count() == before + 3


@TOGETHER
@pytest.mark.databases
def test_a_key_is_free_again_when_nothing_came_of_the_request(
    people: People, answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = people.client(people.teacher)
    lesson, key = {"title": "Closures", "minutes": 40}, {"Idempotency-Key": '"a-key-of-mine"'}
    before = Lesson.objects.count()
    assert teacher.post("/once/python/", {"title": ""}, headers=key).status_code == 400

    def fail(*_: object) -> dict[str, str]:
        raise OSError("the machine is gone")

    with monkeypatch.context() as patched:  # after the lesson is written and before the commit
        patched.setattr(resources.AppendViewSet, "get_success_headers", fail)
        with pytest.raises(OSError, match="gone"):
            teacher.post("/once/python/", lesson, headers=key)
    assert Lesson.objects.count() == before
    assert teacher.post("/once/python/", lesson, headers=key).status_code == 201
    assert Lesson.objects.count() == before + 1


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_of_two_requests_at_once_the_second_gets_the_answer_of_the_first(
    people: People, answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, entered = resources.AppendViewSet.create, threading.Event()
    both = threading.Barrier(2)

    def slow(*args: Any, **kwargs: Any) -> Response:
        assert not entered.is_set(), "both requests were let in"
        entered.set()
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # time for the other one to come, which it must not use
        return original(*args, **kwargs)

    monkeypatch.setattr(resources.AppendViewSet, "create", slow)
    before = Lesson.objects.count()
    headers = {"Idempotency-Key": '"a-key-of-mine"'}

    def post(_: int) -> tuple[int, Any]:
        try:
            answer = people.client(people.teacher).post("/once/python/", {"title": "Closures"}, headers=headers)
            return answer.status_code, answer.json()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(post, range(2))
    assert first == second
    assert first[0] == 201
    assert Lesson.objects.count() == before + 1


# QUERY

ASKED = '{"levels": ["beginner"], "starts_after": "2026-02-01"}'


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_a_query(people: People, wire: Wire, record: Recorder) -> None:
    answer = wire("QUERY", "/search/", {"Content-Type": "application/json"}, ASKED)
    assert answer.headers("Accept-Query") == ["application/json"]
    record("resources_query.http", answer.text)


@pytest.mark.databases
def test_query_searches_and_changes_nothing(people: People) -> None:
    def ask(body: str, kind: str = "application/json", path: str = "/search/") -> Any:
        return people.client().generic("QUERY", path, body, content_type=kind)

    draft = Course.objects.get(published=False)
    everything = '{"levels": ["beginner", "intermediate", "advanced"], "starts_after": "2026-01-01"}'
    found = [ask(everything).json() for _ in range(2)]
    assert found[0] == found[1]
    assert {course["slug"] for course in found[0]} == set(Course.objects.values_list("slug", flat=True)) - {draft.slug}
    assert [course["slug"] for course in ask(ASKED).json()] == ["caching"]
    assert ask("{}").status_code == 400
    assert ask("levels=beginner", "application/x-www-form-urlencoded").status_code == 415
    assert ask(ASKED, path=V1).status_code == 401  # to DRF a method that it does not know is a change
    answer = people.client(people.ama).generic("QUERY", V1, ASKED, content_type="application/json")
    assert answer.status_code == 405
    assert people.client().get("/search/")["Accept-Query"] == "application/json"
    assert people.client().get("/search/").json()["count"] == Course.objects.filter(published=True).count()
    assert people.client().post("/search/", {}).status_code == 401


@pytest.mark.django_db
def test_a_session_needs_a_csrf_token_for_a_query(people: People) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    assert browser.login(email="ama@example.com", password=PASSWORD)
    answer = browser.generic("QUERY", "/search/", ASKED, content_type="application/json")
    assert (answer.status_code, answer.json()["detail"]) == (403, "CSRF Failed: CSRF cookie not set.")
    assert browser.get("/search/").status_code == 200


@TOGETHER
def test_python_sends_it_and_what_does_not_know_it(people: People, live_server: LiveServer) -> None:
    request = Request(  # noqa: S310  (the test's own server)
        f"{live_server.url}/search/", ASKED.encode(), {"Content-Type": "application/json"}, method="QUERY"
    )
    with urlopen(request) as answer:  # noqa: S310
        assert answer.status == 200
    assert "QUERY" not in SAFE_METHODS
    assert "query" not in View.http_method_names
    assert "QUERY" not in default_methods


class HiddenViewSet(resources.SearchableCourseViewSet):
    """The same, and not in the schema."""

    schema = None


def test_the_schema_has_no_place_for_it() -> None:
    def paths(view: type[resources.SearchableCourseViewSet]) -> dict[str, Any]:
        patterns = [path("search/", view.as_view({"get": "list", "query": "search"}))]
        generator: Any = SchemaGenerator
        found: dict[str, Any] = generator(patterns=patterns).get_schema(request=None, public=True)["paths"]
        return found

    with pytest.raises(AttributeError, match="query"):
        paths(resources.SearchableCourseViewSet)
    assert paths(HiddenViewSet) == {}
