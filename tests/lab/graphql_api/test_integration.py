"""The view: who gets in, and how; and what runs where."""

from __future__ import annotations

import gc
import json
import re
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
import strawberry_django
from asgiref.sync import async_to_sync
from django.contrib.auth.decorators import login_not_required
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from strawberry.django.views import GraphQLView

from lab.academy.models import Course
from lab.graphql_api.integration import WrongView, async_view, everything, schema, where, wrong_schema
from lab.graphql_api.schema import schema as real
from scripts.pages import ROOT
from tests.lab.graphql_api.operations import EVERY_ANSWER
from tests.lab.people import bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.academy.models import User
    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Wire = Callable[..., Exchange]

ME = json.dumps({"query": "{ me { name } }"})
JSON = {"Content-Type": "application/json"}


def session_of(user: User) -> str:
    """Return the value of the cookie of somebody who is signed in."""
    browser = Client()
    browser.force_login(user)
    return browser.cookies["sessionid"].value


def shown(exchange: Exchange) -> str:
    """Return an exchange without its secrets, and without what every answer has."""
    text = re.sub(r"(Authorization: Bearer ).+", r"\1…", exchange.text)
    return re.sub(rf"(?m)^({EVERY_ANSWER}|Vary): .*\n", "", text)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_who_asks_on_the_wire(people: People, wire: Wire, record: Recorder) -> None:
    token = bearer(people.ama)
    session = session_of(people.ama)

    forgery = wire("POST", "/graphql/", {**JSON, "Cookie": f"sessionid={session}"}, ME)
    assert forgery.status == 403
    record("integration_csrf.http", shown(forgery))

    secret = "a" * 32
    cookies = {"Cookie": f"sessionid={session}; csrftoken={secret}", "X-CSRFToken": secret}
    own = wire("POST", "/graphql/", {**JSON, **cookies}, ME)
    assert (own.status, own.body) == (200, '{"data":{"me":{"name":"Ama"}}}')

    proven = wire("POST", "/graphql/", {**JSON, **token}, ME)
    assert proven.status == 200
    record("integration_bearer.http", shown(proven))

    forged = wire("POST", "/graphql/", {**JSON, "Authorization": token["Authorization"] + "x"}, ME)
    assert forged.status == 401
    record("integration_forged.http", shown(forged))

    nobody = wire("POST", "/graphql/", JSON, ME)
    assert (nobody.status, nobody.body) == (200, '{"data":{"me":null}}')


@pytest.mark.django_db
def test_a_token_speaks_before_the_cookies(people: People) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(people.kofi)
    headers = bearer(people.ama)
    response = browser.post("/graphql/", ME, content_type="application/json", headers=headers)
    assert response.json() == {"data": {"me": {"name": "Ama"}}}
    for wrong in (headers["Authorization"] + "x", "Bearer", "Basic eDp5", "bearer x", "x", ""):
        headers = {"Authorization": wrong}
        for client in (browser, Client(enforce_csrf_checks=True)):
            response = client.post("/graphql/", ME, content_type="application/json", headers=headers)
            assert response.status_code == 401, wrong
            assert "data" not in response.json()


@pytest.mark.django_db
def test_tokens_that_do_not_let_in(people: People) -> None:
    def status(value: str) -> int:
        response = Client(enforce_csrf_checks=True).post(
            "/graphql/", ME, content_type="application/json", headers={"Authorization": value}
        )
        if response.status_code == 401:
            assert response["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
            assert response.json() == {
                "errors": [{"message": "This token is not valid.", "extensions": {"code": "UNAUTHENTICATED"}}]
            }
        return response.status_code

    expired = AccessToken.for_user(people.ama)
    expired.set_exp(lifetime=-timedelta(minutes=1))
    valid = AccessToken.for_user(people.ama)
    assert status(f"Bearer {valid}") == 200
    assert status(f"Bearer {expired}") == 401
    assert status(f"Bearer {RefreshToken.for_user(people.ama)}") == 401
    assert status("Bearer one two") == 401
    people.ama.is_active = False
    people.ama.save()
    assert status(f"Bearer {valid}") == 401


@pytest.mark.django_db
def test_any_cookie_asks_for_the_csrf_token(people: People) -> None:
    browser = Client(enforce_csrf_checks=True)
    secret = "a" * 32

    def status(content_type: str = "application/json", **headers: str) -> int:
        return browser.post("/graphql/", ME, content_type=content_type, headers=headers).status_code

    assert status() == 200
    browser.cookies["theme"] = "dark"
    assert status() == 403
    browser.force_login(people.kofi)
    assert status() == 403
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert status(content_type) == 403
    browser.cookies["csrftoken"] = secret
    assert status() == 403
    assert status(**{"X-CSRFToken": secret}) == 200
    assert status(**{"X-CSRFToken": secret, "Origin": "https://other.example"}) == 403
    assert browser.get("/graphql/", {"query": "{ me { name } }"}).json() == {"data": {"me": {"name": "Kofi"}}}


@pytest.mark.django_db
def test_what_the_view_refuses(people: People) -> None:
    client = Client()
    client.force_login(people.kofi)
    page = client.get("/graphql/", headers={"Accept": "text/html"})
    assert (page.status_code, page["Content-Type"]) == (406, "application/json")
    browser = client.get("/graphql/", headers={"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"})
    assert (browser.status_code, browser["Content-Type"]) == (422, "application/json")
    query = client.get("/graphql/", {"query": "{ __typename }"})
    assert (query.status_code, query.json()) == (200, {"data": {"__typename": "Query"}})
    enroll = 'mutation Join { enroll(courseSlug: "caching") { __typename } }'
    for asked in ({"query": enroll}, {"query": "query Me { me { name } } " + enroll, "operationName": "Join"}):
        mutation = client.get("/graphql/", asked)
        assert (mutation.status_code, mutation["Allow"]) == (405, "POST")
    assert not people.kofi.learner.enrollments.filter(course__slug="caching").exists()
    own: Any = GraphQLView.as_view(schema=real)(RequestFactory().get("/", {"query": enroll}))
    assert (own.status_code, own.content) == (400, b"mutations are not allowed when using GET")
    body = json.dumps({"query": enroll})
    for content_type in ("text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", ""):
        assert client.post("/graphql/", body, content_type=content_type).status_code == 415
    assert client.post("/graphql/", {"operations": body, "map": "{}"}).status_code == 415
    assert not people.kofi.learner.enrollments.filter(course__slug="caching").exists()
    assert client.post("/graphql/", body, content_type="application/json").json()["data"]["enroll"]
    assert people.kofi.learner.enrollments.filter(course__slug="caching").exists()


def test_strawberrys_own_view_is_protected_as_every_view() -> None:
    assert not hasattr(GraphQLView.as_view(schema=real), "csrf_exempt")


@pytest.mark.wrong("lab/graphql_api/integration.py:wrong_view")
def test_options_on_the_class_are_ignored() -> None:
    rf = RequestFactory()

    def answers(view: Any) -> tuple[int, int]:
        page = view(rf.get("/", headers={"Accept": "text/html"}))
        query = view(rf.get("/", {"query": "{ __typename }"}))
        return page.status_code, query.status_code

    assert answers(WrongView.as_view(schema=schema)) == (200, 200)
    assert answers(GraphQLView.as_view(schema=schema, graphql_ide=None, allow_queries_via_get=False)) == (404, 400)


def sdl_of(name: str) -> str:
    """Return a type of the page's schema in the schema language."""
    sdl = everything.as_str()
    found = re.search(rf'(?ms)^(?:""".*?"""\n)?(type|enum) {name} {{.*?^}}', sdl)
    assert found
    return re.sub(r'(?ms)^ *""".*?"""\n', "", found[0])


@strawberry_django.type(Course)
class Text:
    """A course whose level is a column like any other."""

    level: strawberry.auto


@strawberry.type
class TextQuery:
    """Where reading starts."""

    text: list[Text] = strawberry_django.field()


def test_choices_are_text_unless_an_enum_is_named() -> None:
    assert "level: String!" in strawberry.Schema(query=TextQuery).as_str()


@pytest.mark.wrong("lab/graphql_api/integration.py:wrong_fields")
def test_all_fields_are_too_many(record: Recorder) -> None:
    text = sdl_of("WrongLearner")
    record("integration_everything.graphql", text)
    assert "email: String!" in text
    assert "user: DjangoModelType" in text


@pytest.mark.databases("postgresql")
def test_where_resolvers_run(academy: None, session: Callable[..., None]) -> None:
    def execute(query: str) -> Any:
        return async_to_sync(schema.execute)(query).data

    session("integration_where.pycon", execute=execute)
    assert where() == "off the event loop"


@pytest.mark.wrong("lab/graphql_api/integration.py:wrong_open")
def test_a_coroutine_may_not_wait_for_the_database(academy: None, session: Callable[..., None]) -> None:
    def execute(graph: Any, query: str) -> Any:
        return async_to_sync(graph.execute)(query)

    session("integration_sync_only.pycon", execute=execute, wrong=wrong_schema, schema=schema)


def test_a_coroutine_needs_the_asynchronous_view(academy: None, quiet: None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = schema.execute_sync("{ openCourses }")
        data, messages = answer.data, [error.message for error in answer.errors or []]
        del answer
        gc.collect()
    assert data is None
    # The words depend on the release of Python.
    assert re.search("complete synchronously|no current event loop", " ".join(messages))


urlpatterns = [path("async/", login_not_required(csrf_exempt(async_view)))]


@pytest.mark.urls(__name__)
@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_view_answers(people: People) -> None:
    async def post() -> Any:
        response = await AsyncClient().post(
            "/async/",
            {"query": "{ openCourses courses { level lessons { minutes } } }"},
            content_type="application/json",
        )
        return response.json()

    data = async_to_sync(post)()["data"]
    assert data["openCourses"] == 9
    assert len(data["courses"]) == 10
    assert data["courses"][0]["level"] == "BEGINNER"


@pytest.mark.slow
def test_the_schema_is_written_to_a_file(shell: Callable[..., None]) -> None:
    shell("integration_export.console", PYTHONPATH=str(ROOT), DEBUG="true", DATABASE_URL="sqlite://:memory:")
