"""One format for every error, from inside Django REST framework and from outside it."""

from __future__ import annotations

import io
import json
import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from django.views import defaults
from rest_framework import exceptions, serializers
from rest_framework.test import APIClient

from lab.academy.models import Course, Learner
from lab.rest_apis import errors, views
from lab.rest_apis.errors import PROBLEMS, Conflict, entries, problem
from tests.lab.outage import database_down
from tests.lab.rest_apis.wire import sender, stable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpResponse
    from django.test import Client, RequestFactory
    from pytest_django import Settings

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

COURSES = "/api/v1/courses/"
SAMPLES = pytest.mark.urls("lab.rest_apis.error_samples")
WIRE = pytest.mark.django_db(transaction=True)


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Collect what the lab logs, without the time."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("{levelname} {name} {message}", style="{"))
    logging.getLogger().addHandler(handler)
    try:
        yield log
    finally:
        logging.getLogger().removeHandler(handler)


@pytest.fixture
def as_installed(settings: Settings) -> None:
    """The exception handler that DRF has if nobody sets one."""
    own = {"EXCEPTION_HANDLER": "rest_framework.views.exception_handler"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, **own}


def line(answer: HttpResponse | Any) -> str:
    """Return a response in short: its status, its media type and its body."""
    body = answer.content.decode()
    if "html" in answer["Content-Type"]:
        body = "…"
    return f"{answer.status_code} {answer['Content-Type']}\n{body}"


# DRF's own shapes


@pytest.mark.databases("postgresql")
def test_drf_has_many_shapes(people: People, as_installed: None, record: Recorder) -> None:
    teacher, visitor = people.client(people.teacher), people.client()
    sent = [
        ("POST", COURSES, {"title": ""}, teacher),
        ("POST", COURSES, [], teacher),
        ("GET", COURSES + "nothing/", None, visitor),
        ("POST", "/api/v1/token/refresh/", {"refresh": "forged"}, visitor),
    ]
    lines = []
    for method, path, body, client in sent:
        answer = client.generic(method, path, json.dumps(body) if body is not None else "", "application/json")
        lines.append(f"{method} {path} {json.dumps(body) if body is not None else ''}".rstrip() + f"\n{line(answer)}\n")
    record("errors_drf.txt", "\n".join(lines))


class Sample(serializers.Serializer[Any]):
    """A list inside, for the shape of its errors."""

    lessons = serializers.ListField(child=serializers.IntegerField())


def test_lists_have_two_more_shapes() -> None:
    inner = Sample(data={"lessons": [1, "x"]})
    assert not inner.is_valid()
    assert inner.errors == {"lessons": {1: ["A valid integer is required."]}}
    outer = Sample(data=[{}, {"lessons": []}], many=True)
    assert not outer.is_valid()
    assert outer.errors == {0: {"lessons": ["This field is required."]}}


# The handler


@WIRE
@pytest.mark.databases("postgresql")
def test_a_validation_error_names_places(people: People, wire: Callable[..., Exchange], record: Recorder) -> None:
    body = '{"slug": "go", "title": "", "seats": 0, "starts_on": "2026-03-01", "ends_on": "soon"}'
    answer = wire("POST", COURSES, {**sender(people.teacher), "Accept": "application/json; indent=2"}, body)
    assert answer.headers("Content-Type") == ["application/problem+json"]
    record("errors_validation.http", stable(answer.text))


@WIRE
@pytest.mark.databases("postgresql")
def test_a_conflict_has_a_type(people: People, wire: Callable[..., Exchange], record: Recorder) -> None:
    answer = wire("DELETE", COURSES + "python/", sender(people.teacher))
    record("errors_conflict.http", stable(answer.text))
    assert answer.status == 409
    assert json.loads(answer.body)["type"] == PROBLEMS + "conflict"


def test_pointers(session: Callable[..., None]) -> None:
    session("errors_pointers.pycon", ValidationError=serializers.ValidationError, entries=entries)


@pytest.mark.parametrize(
    ("detail", "found"),
    [
        ("No.", {"#": "No."}),
        (["No.", "Never."], {"#": "Never."}),
        ({"title": "No."}, {"#/title": "No."}),
        ({"title": ["No."]}, {"#/title": "No."}),
        ({"non_field_errors": ["No."]}, {"#": "No."}),
        ({"lessons": {"non_field_errors": ["No."]}}, {"#/lessons": "No."}),
        ({"lessons": {2: {"title": ["No."]}}}, {"#/lessons/2/title": "No."}),
        ({"lessons": [{}, {"title": ["No."]}]}, {"#/lessons/1/title": "No."}),
        ([{}, {"title": ["No."]}], {"#/1/title": "No."}),
        ({1: ["No."]}, {"#/1": "No."}),
        ({"grid": {0: {1: ["No."]}}}, {"#/grid/0/1": "No."}),
        ({"code": ["No."], "message": ["Never."]}, {"#/code": "No.", "#/message": "Never."}),
        ({"code": "No.", "message": "Never."}, {"#/code": "No.", "#/message": "Never."}),
        ({"a/b": ["No."], "m~n": ["No."]}, {"#/a~1b": "No.", "#/m~0n": "No."}),
        ({"~1": ["No."], "": ["No."]}, {"#/~01": "No.", "#/": "No."}),
        ({"größe %": ["No."]}, {"#/gr%C3%B6%C3%9Fe%20%25": "No."}),
    ],
)  # fmt: skip
def test_every_message_has_its_place(detail: Any, found: dict[str, str]) -> None:
    made = list(entries(serializers.ValidationError(detail).detail))
    assert {entry["pointer"]: entry["detail"] for entry in made} == found
    assert {entry["code"] for entry in made} == {"invalid"}


def test_a_parameter_keeps_its_name() -> None:
    messages = ["No.", exceptions.ErrorDetail("Never.", "unknown")]
    wrong = dict.fromkeys(("a/b", "größe", "non_field_errors"), messages)
    answer = problem(errors.WrongParameters(wrong), {})
    assert answer
    assert [(e["parameter"], e["code"], e["detail"]) for e in answer.data["errors"]] == [
        (name, *said) for name in wrong for said in (("invalid", "No."), ("unknown", "Never."))
    ]


def test_two_messages_of_one_place_are_two_entries() -> None:
    error = serializers.ValidationError({"title": ["Too long.", exceptions.ErrorDetail("Taken.", "unique")]})
    assert [(entry["pointer"], entry["code"]) for entry in entries(error.detail)] == [
        ("#/title", "invalid"),
        ("#/title", "unique"),
    ]


@pytest.mark.parametrize(
    ("error", "status", "kind", "detail"),
    [
        (exceptions.NotFound(), 404, "about:blank", "Not found."),
        (Http404("No Course matches the query."), 404, "about:blank", "There is nothing here for you."),
        (PermissionDenied("the row of Kofi"), 403, "about:blank", "You may not do this."),
        (Conflict(), 409, PROBLEMS + "conflict", "This is not possible in the present state."),
        (Conflict("No seat.", "course_full"), 409, PROBLEMS + "course_full", "No seat."),
        (exceptions.Throttled(3), 429, "about:blank", "Request was throttled. Expected available in 3 seconds."),
    ],
)
def test_the_type_says_what_the_status_does_not(error: Exception, status: int, kind: str, detail: str) -> None:
    answer = problem(error, {})
    assert answer
    assert answer.status_code == status
    assert (answer.data["type"], answer.data["detail"]) == (kind, detail)
    assert answer.data["status"] == status


def test_a_bug_is_left_to_django() -> None:
    assert problem(ValueError("a secret"), {}) is None
    assert problem(OperationalError("a host name"), {}) is None


def test_every_code_of_drf_itself_says_no_more_than_its_status() -> None:
    own = {
        kind.default_code for kind in exceptions.APIException.__subclasses__() if kind.__module__ == exceptions.__name__
    }
    assert own - errors.SAY_NO_MORE_THAN_THE_STATUS == {exceptions.ValidationError.default_code}


# Outside DRF


def break_courses(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the list of courses raise."""

    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr(views.CourseViewSet, "get_queryset", fail)


@pytest.mark.databases("postgresql")
def test_what_never_reaches_the_handler(people: People, record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(people.teacher)
    lines = []

    def show(what: str, answer: Any) -> None:
        assert "html" not in answer["Content-Type"] or "/nothing/" in what
        lines.append(f"{what}\n{stable(line(answer))}\n")

    show("GET /api/v1/nothing/", browser.get("/api/v1/nothing/"))
    show("GET /api/v1/courses/ (Host: evil.example)", browser.get(COURSES, headers={"host": "evil.example"}))
    show("POST /api/v1/courses/ (a session and no CSRF token)", browser.post(COURSES, {}))
    break_courses(monkeypatch, ZeroDivisionError("division by zero"))
    show("GET /api/v1/courses/ (a bug)", browser.get(COURSES))
    show("GET /nothing/", browser.get("/nothing/"))
    record("errors_outside.txt", "\n".join(lines))


@pytest.mark.parametrize("path", ["/nothing/", "/apis/", "/graphql/nothing/"])
def test_pages_keep_their_html(db: None, client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_every_handler_answers_programs_and_browsers(rf: RequestFactory) -> None:
    api, page = rf.get("/api/v1/x/"), rf.get("/x/")
    for handler, status in ((errors.bad_request, 400), (errors.forbidden, 403), (errors.not_found, 404)):
        for request, media_type in ((api, errors.MEDIA_TYPE), (page, "text/html; charset=utf-8")):
            answer = handler(request, PermissionDenied("a secret"))
            assert (answer.status_code, answer["Content-Type"]) == (status, media_type)
            assert b"secret" not in answer.content
    assert errors.failed(page).content == defaults.server_error(page).content


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (ZeroDivisionError("four palms"), 500, None),
        (OperationalError("four palms"), 503, "30"),
        (InterfaceError("four palms"), 503, "30"),
        (DataError("four palms"), 400, None),
    ],
)
def test_the_log_has_what_the_client_has_not(
    db: None, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, retry: str | None
) -> None:
    break_courses(monkeypatch, error)
    client = APIClient(raise_request_exception=False)
    with logged() as log:
        answer = client.get(COURSES)
    assert (answer.status_code, answer["Content-Type"]) == (status, errors.MEDIA_TYPE)
    assert answer.headers.get("Retry-After") == retry
    body = answer.json()
    assert body["status"] == status
    assert not re.search("palms|Error\\b|Traceback|django", answer.content.decode().replace("Server Error", ""))
    assert f"ERROR lab.rest_apis.errors {body['instance']} is {type(error).__name__}" in log.getvalue()
    assert "four palms" in log.getvalue()
    assert "Traceback" in log.getvalue()


@pytest.mark.databases("postgresql")
def test_the_log_of_a_bug(db: None, monkeypatch: pytest.MonkeyPatch, record: Recorder) -> None:
    break_courses(monkeypatch, ZeroDivisionError("division by zero"))
    client = APIClient(raise_request_exception=False)
    with logged() as log:
        client.get(COURSES)
    lines = [text for text in stable(log.getvalue()).splitlines() if not text.startswith("  ")]
    record("errors_log.txt", "\n".join([*lines[:3], "  …", *lines[3:]]))


@WIRE
@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("headers", [{}, {"Cookie": "sessionid=aaaaaaaaaaaaaaaa"}])
def test_the_database_is_down(client: Client, headers: dict[str, str]) -> None:
    client.raise_request_exception = False
    with database_down():
        answer = client.get(COURSES, headers=headers)
        assert (answer.status_code, answer["Retry-After"]) == (503, "30")
        assert answer["Content-Type"] == errors.MEDIA_TYPE
        said = {name: text for name, text in answer.json().items() if name != "instance"}
        assert not re.search("127|port|connect|Error", str(said))
        assert client.get("/").status_code == 500, "the pages keep theirs"


@pytest.mark.databases("postgresql")
def test_the_database_is_down_on_the_wire(wire: Callable[..., Exchange], record: Recorder) -> None:
    with database_down():
        record("errors_503.http", stable(wire("GET", COURSES).text))


# What goes wrong


@WIRE
@SAMPLES
@pytest.mark.wrong("lab/rest_apis/error_samples.py:wrong_handler")
@pytest.mark.databases("postgresql")
def test_a_handler_that_answers_everything(
    people: People, wire: Callable[..., Exchange], record: Recorder, settings: Settings
) -> None:
    sent = ("POST", "/api/samples/email/", sender(people.ama), '{"email": "kofi@example.com"}')
    with logged() as log:
        mended = wire(*sent)
    assert mended.status == 500
    assert "academy_learner_email" not in mended.text
    assert "IntegrityError" in log.getvalue()
    own = {"EXCEPTION_HANDLER": "lab.rest_apis.error_samples.wrong_handler"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, **own}
    with logged() as log:
        leaky = wire(*sent)
    assert "IntegrityError" not in log.getvalue()
    assert "Traceback" not in log.getvalue()
    assert "academy_learner_email" in leaky.body
    assert "kofi@example.com" in leaky.body
    record("errors_leak.http", stable(leaky.text))


@SAMPLES
@pytest.mark.databases
def test_changing_an_address_works_when_nobody_has_it(people: People) -> None:
    answer = people.client(people.ama).post("/api/samples/email/", {"email": "new@example.com"})
    assert answer.status_code == 204
    assert Learner.objects.get(user=people.ama).email == "new@example.com"


@SAMPLES
@pytest.mark.wrong("lab/rest_apis/error_samples.py:wrong_seats")
@pytest.mark.databases("postgresql")
def test_an_error_in_a_200_is_kept(academy: None, client: Client, session: Callable[..., None]) -> None:
    session("errors_cached.pycon", client=client, Course=Course)
    assert client.get("/api/samples/wrong-seats/go/").json() == {"error": "There is no such course."}
    assert client.get("/api/samples/seats/go/").json() == {"seats": 30}
    assert client.get("/api/samples/wrong-seats/python/").json().keys() == {"seats"}
