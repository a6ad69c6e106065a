"""The way of a request through DRF, step by step, and what each step answers when it refuses."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as lab
from django.http import HttpRequest
from django.test import RequestFactory, override_settings
from django.urls import resolve, reverse
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.test import APIClient

from lab.academy.models import Course, User
from lab.rest_apis import request_cycle
from lab.rest_apis.request_cycle import WRONG_MIDDLEWARE
from lab.rest_apis.views import CourseViewSet
from scripts.pages import ROOT
from tests.lab.people import bearer
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.lab.people import People
    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Trace = Callable[..., tuple[int, list[str]]]

pytestmark = pytest.mark.urls("lab.rest_apis.request_cycle")
SEWING = {"slug": "sewing", "title": "Sewing", "starts_on": "2027-01-04", "ends_on": "2027-02-01"}
BROKEN: dict[str, Any] = {"data": "{not JSON", "content_type": "application/json"}


def with_token(user: User) -> APIClient:
    """Return a client that sends a token of this user."""
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=bearer(user)["Authorization"])
    return client


def with_session(user: User) -> APIClient:
    """Return a browser in which this user is signed in."""
    client = APIClient(raise_request_exception=False)
    client.force_login(user)
    return client


class Edge:
    """The innermost middleware: reports when a request leaves Django's layers, and when the response enters them."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        """Let the view do its work."""
        request_cycle.log.info("middleware, inwards")
        response = self.get_response(request)
        request_cycle.log.info("middleware, outwards: %s", response.status_code)
        return response


@pytest.fixture
def trace(settings: Settings, caplog: pytest.LogCaptureFixture) -> Trace:
    """``trace(client, method, path, …)`` sends a request, and returns the status and the steps on its way."""
    settings.MIDDLEWARE = [*lab.MIDDLEWARE, f"{__name__}.Edge"]

    def send(client: APIClient, method: str, path: str, **request: Any) -> tuple[int, list[str]]:
        caplog.clear()
        with caplog.at_level(logging.INFO, request_cycle.log.name):
            status = getattr(client, method)(path, **request).status_code
        return status, [line.getMessage() for line in caplog.records if line.name == request_cycle.log.name]

    return send


def names(lines: list[str]) -> list[str]:
    """Return the methods of a trace without their classes."""
    return [line.strip().rpartition(".")[2] for line in lines]


@pytest.mark.databases
def test_a_request_goes_through_the_steps_in_order(
    people: People, trace: Trace, record: Recorder, database: str
) -> None:
    status, lines = trace(with_token(people.teacher), "post", "/traced/", data=SEWING)
    assert status == 201
    steps = names(lines)
    wanted = [
        "dispatch", "initialize_request", "initial", "perform_content_negotiation", "determine_version",
        "perform_authentication", "authenticate", "check_permissions", "has_permission", "check_throttles",
        "allow_request", "allow_request", "create", "parse", "run_validation", "perform_create", "create",
        "to_representation", "finalize_response", "render",
    ]  # fmt: skip
    assert steps[1:-1] == wanted
    # The body is parsed inside the action, and the response is rendered when the view has returned.
    assert next(line for line in lines if line.endswith("JSONParser.parse")).startswith(" " * 8)
    assert "JSONRenderer.render" in lines
    if database == "postgresql":
        record("cycle_trace.txt", "\n".join(lines))


@pytest.mark.databases("postgresql")
def test_a_refusal_ends_the_way_and_nothing_is_parsed(people: People, trace: Trace, record: Recorder) -> None:
    status, lines = trace(APIClient(), "post", "/traced/", **BROKEN)
    assert status == 401
    assert "parse" not in names(lines)
    assert "allow_request" not in names(lines)
    record("cycle_refused.txt", "\n".join(lines))


@pytest.mark.databases("postgresql")
def test_the_object_is_asked_about_before_the_body_is_read(people: People, trace: Trace) -> None:
    status, lines = trace(with_token(people.teacher), "patch", "/traced/python/", data={"seats": 40})
    assert status == 200
    steps = names(lines)
    assert steps.index("has_object_permission") < steps.index("parse")
    status, lines = trace(with_token(people.kofi), "patch", "/traced/python/", **BROKEN)
    assert status == 403
    assert "parse" not in names(lines)


def test_a_body_that_nobody_reads_is_never_parsed(people: People) -> None:
    assert APIClient().generic("GET", "/api/v1/courses/", "{not JSON", "application/json").status_code == 200
    python = f"/api/v1/courses/{people.python.slug}/publish/"
    assert with_token(people.teacher).post(python, **BROKEN).status_code == 200


@pytest.mark.databases("postgresql")
def test_what_each_step_answers(people: People, record: Recorder) -> None:
    nobody = APIClient(raise_request_exception=False)
    ama, teacher = with_token(people.ama), with_token(people.teacher)
    stale = APIClient()
    stale.credentials(HTTP_AUTHORIZATION="Bearer 1.2.3")
    forged = APIClient(enforce_csrf_checks=True)
    forged.force_login(people.teacher)
    once = with_token(people.ama)
    once.get("/once/")
    courses, python = "/api/v1/courses/", "/api/v1/courses/python/"
    lessons = python + "lessons/"
    rows: list[tuple[str, str, Any, int]] = [
        ("middleware", "a `Host` that is not ours", nobody.get(courses, headers={"host": "evil.example"}), 400),
        ("URL pattern", "`/api/v1/nothing/`", nobody.get("/api/v1/nothing/"), 404),
        ("negotiation", "`Accept: text/csv`", nobody.get(courses, headers={"accept": "text/csv"}), 406),
        ("version", "a version that is not allowed", nobody.get("/api/v9/courses/"), 404),
        ("authentication", "a token that is not valid", stale.get(courses), 401),
        ("authentication", "a session, and no CSRF token", forged.post(courses, SEWING), 403),
        ("permissions", "nobody adds a course", nobody.post(courses, **BROKEN), 401),
        ("permissions", "Ama adds a course", ama.post(courses, **BROKEN), 403),
        ("throttles", "the second request of one a minute", once.get("/once/"), 429),
        ("method", "`DELETE` on the collection", teacher.delete(courses), 405),
        ("object", "a course that is not there", teacher.get("/api/v1/courses/nothing/"), 404),
        ("object", "Ama changes a course", ama.patch(python, **BROKEN), 403),
        ("parser", "`Content-Type: text/plain`", teacher.post(courses, "Sewing", content_type="text/plain"), 415),
        ("parser", "`{not JSON`", teacher.post(courses, **BROKEN), 400),
        ("serializer", "`{}`", teacher.post(courses, {}), 400),
        ("saving", "a lesson where there is one", teacher.post(lessons, {"position": 1, "title": "Again"}), 409),
        ("renderer", "a value that JSON has no form for", nobody.get("/unrenderable/"), 500),
    ]
    table = ["| Step | Request | Answer | Body |", "| --- | --- | ---: | --- |"]
    for step, request, response, status in rows:
        assert response.status_code == status, (step, request, response.content)
        kind = response["Content-Type"].partition(";")[0].partition("/")[2]
        assert (kind == "problem+json") == (step not in {"middleware", "URL pattern", "renderer"})
        if kind == "problem+json":
            assert json.loads(response.content)["status"] == status
        table.append(f"| {step} | {request} | {status} | {kind} |")
    record("cycle_answers.md", "\n".join(table))


def test_the_first_step_that_refuses_answers(people: People) -> None:
    """A request in which everything is wrong, mended from the front to the back."""
    everything: dict[str, Any] = {**BROKEN, "headers": {"accept": "text/csv"}}
    assert APIClient().post("/api/v9/courses/", **everything).status_code == 406
    assert APIClient().post("/api/v9/courses/", **BROKEN).status_code == 404
    assert APIClient().post("/api/v1/courses/", **BROKEN).status_code == 401
    assert with_token(people.ama).post("/api/v1/courses/", **BROKEN).status_code == 403
    assert with_token(people.ama).delete("/api/v1/courses/").status_code == 405
    assert APIClient().delete("/api/v1/courses/").status_code == 401
    assert with_token(people.teacher).post("/api/v1/courses/", **BROKEN).status_code == 400


def test_refused_requests_do_not_count(people: People) -> None:
    """The throttle comes after authentication and permission."""
    seen = []

    class Counting(request_cycle.Once):
        def allow_request(self, request: Any, *_: Any) -> bool:
            seen.append(request.method)
            return True

    view = CourseViewSet.as_view({"post": "create"}, throttle_classes=[Counting], detail=False)
    rf = RequestFactory()
    for proof in ({}, {"authorization": "Bearer 1.2.3"}):
        assert view(rf.post("/", "{}", content_type="application/json", headers=proof)).status_code == 401
    assert not seen
    proven = rf.post("/", "{}", content_type="application/json", headers=bearer(people.teacher))
    assert view(proven).status_code == 400
    assert seen == ["POST"]


def test_a_permission_that_reads_the_body_answers_for_the_parser(people: People) -> None:
    class Reading(BasePermission):
        def has_permission(self, request: Any, *_: Any) -> bool:
            return bool(request.data)

    view = CourseViewSet.as_view({"post": "create"}, permission_classes=[Reading], detail=False)
    request = RequestFactory().post("/", "{not JSON", content_type="application/json")
    assert view(request).status_code == 400


def test_an_error_of_the_renderer_passes_the_exception_handler_by(
    people: People, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Exception] = []
    monkeypatch.setattr(request_cycle.Unrenderable, "get_exception_handler", lambda _: seen.append)
    with pytest.raises(TypeError, match="not JSON serializable"):
        APIClient().get("/unrenderable/")
    assert not seen


@pytest.mark.databases("postgresql")
def test_the_body_is_parsed_when_it_is_read_and_once(session: Session) -> None:
    session(
        "cycle_lazy.pycon",
        RequestFactory=RequestFactory,
        Request=Request,
        HttpRequest=HttpRequest,
        JSONParser=JSONParser,
    )


@pytest.mark.databases("postgresql")
def test_the_login_middleware_leaves_the_api_alone(people: People, session: Session) -> None:
    session("cycle_marks.pycon", resolve=resolve)
    assert "django.contrib.auth.middleware.LoginRequiredMiddleware" in lab.MIDDLEWARE
    assert APIClient().get("/api/v1/courses/").status_code == 200
    # Elsewhere the same middleware sends a stranger to the page for signing in.
    with override_settings(ROOT_URLCONF="lab.urls"):
        assert APIClient().get(reverse("my_courses")).status_code == 302


@pytest.mark.wrong("lab/rest_apis/request_cycle.py:wrong_maintenance")
@pytest.mark.databases("postgresql")
def test_a_middleware_does_not_know_who_sent_a_token(people: People, session: Session) -> None:
    User.objects.filter(pk=people.teacher.pk).update(is_staff=True)
    session(
        "cycle_maintenance.pycon",
        override_settings=override_settings,
        WRONG_MIDDLEWARE=WRONG_MIDDLEWARE,
        with_token=with_token,
        with_session=with_session,
        efua=people.teacher,
        course=SEWING,
    )
    Course.objects.filter(slug="sewing").delete()
    session("cycle_maintained.pycon", with_token=with_token, efua=people.teacher, ama=people.ama, course=SEWING)


def test_on_the_way_out_a_middleware_knows_who_sent_a_token(people: People, settings: Settings) -> None:
    seen: list[tuple[str, Any]] = []

    class Watching(Edge):
        def __call__(self, request: HttpRequest) -> Any:
            seen.append(("in", request.user.pk))
            response = super().__call__(request)
            seen.append(("out", request.user.pk))
            return response

    globals()["Watching"] = Watching
    settings.MIDDLEWARE = [*lab.MIDDLEWARE, f"{__name__}.Watching"]
    with_token(people.ama).get("/api/v1/courses/")
    assert seen == [("in", None), ("out", people.ama.pk)]


STEPS = {
    "middleware": "middleware, inwards",
    "request": "initialize_request",
    "negotiation": "perform_content_negotiation",
    "version": "determine_version",
    "authentication": "perform_authentication",
    "permissions": "check_permissions",
    "throttles": "check_throttles",
    "method": "CourseViewSet.create",
    "data": "JSONParser.parse",
    "serializer": "run_validation",
    "save": "perform_create",
    "response": "finalize_response",
    "renderer": "JSONRenderer.render",
    "back": "middleware, outwards",
}


def test_the_picture_shows_the_steps_of_the_trace_and_the_answers_of_the_table(record: Recorder) -> None:
    source = (ROOT / "lab/rest_apis/diagrams/request_cycle.dot").read_text(encoding="utf-8")
    order = list(dict.fromkeys(re.findall(r"\w+", " ".join(re.findall(r"(?m)^    \w+ ->.+$", source)))))
    order.remove("object")  # there is none yet when a course is added
    trace = record.path("cycle_trace.txt").read_text(encoding="utf-8")
    places = [trace.index(STEPS[step]) for step in order]
    assert places == sorted(places)
    assert set(order) == set(STEPS)
    rows = re.findall(
        r"(?m)^\| (\w[\w ]*) \| .+ \| (\d{3}) \|", record.path("cycle_answers.md").read_text(encoding="utf-8")
    )
    assert len(rows) == 17
    boxes = {"URL pattern": "middleware", "parser": "data", "saving": "save"}
    for step, status in rows:
        label = re.search(rf'(?m)^    {boxes.get(step, step)} \[label="(.+?)"', source)
        assert label
        assert status in label[1] or step == "renderer", step
    record(
        "request_cycle.svg",
        draw(
            source,
            title="The way of a request through DRF",
            description="After Django's middleware and URL patterns, which may answer 400 or 404, DRF wraps the "
            "request. Content negotiation may answer 406, the version 404, authentication 401 or 403, permissions 401 "
            "or 403, throttles 429, an unknown method 405. The action then finds the object (404, 401 or 403), has the "
            "parser read the body (415 or 400), the serializer check it (400), and saves (409). The response holds "
            "plain data; the renderer turns it into JSON when the view has returned, and Django's middleware sees it.",
        ),
    )
