"""The way of a request through Django's layers, and four ways in which it ends early."""

from __future__ import annotations

import logging
import re
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as lab
from django.core.handlers.base import BaseHandler
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.signals import template_rendered
from django.utils.module_loading import import_string

from lab.django_app import request_cycle
from lab.django_app.request_cycle import RIGHT_ORDER, WRONG_ORDER
from scripts.pages import ROOT
from tests.recording.diagram import draw
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Wire = Callable[..., Exchange]

TRACE = "lab.django_app.request_cycle.Trace"
LAYERS = [name.rpartition(".")[2] for name in lab.MIDDLEWARE]
# From 6.0 on a public page leaves the session alone, so nothing in its response varies with the cookie.
READS_SESSION = django.VERSION < (6, 0)
ORDERS = {
    "call_command": call_command,
    "Client": Client,
    "override_settings": override_settings,
    "RIGHT_ORDER": RIGHT_ORDER,
    "WRONG_ORDER": WRONG_ORDER,
}


def as_on_5_2(text: str) -> str:
    """Return a trace or an exchange with the header that 5.2 alone sends, wherever it was made."""
    assert bool(re.search(r"(?m)^Vary: |^ +\+Vary", text)) == READS_SESSION
    if READS_SESSION:
        return text
    text = re.sub(r"(?m)^(out   SessionMiddleware 200)$", r"\1\n      +Vary", text)
    return re.sub(r"(?m)^(Content-Length: .*\n)", r"\1Vary: Cookie\n", text, count=1)


@pytest.fixture
def trace(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[[Client, str], list[str]]:
    """``trace(client, path)`` asks for a page and returns what Trace and this fixture saw on the way."""
    settings.MIDDLEWARE = [name for layer in lab.MIDDLEWARE for name in (TRACE, layer)] + [TRACE]
    log, find_view = request_cycle.log, BaseHandler.resolve_request

    def resolve(handler: BaseHandler, request: Any) -> Any:
        view, args, kwargs = find_view(handler, request)
        log.info("URL   %s %s", request.resolver_match.url_name, kwargs)

        @wraps(view)
        def call(*args: Any, **kwargs: Any) -> Any:
            log.info("view  %s.%s", view.__module__, view.__name__)
            return view(*args, **kwargs)

        return call, args, kwargs

    def query(execute: Any, sql: str, *rest: Any) -> Any:
        log.info("SQL   %s", " ".join(re.findall(r'^SELECT|FROM|["`](\w+)["`] WHERE', sql)[-1:]))
        return execute(sql, *rest)

    def render(template: Any, **signal: Any) -> None:
        log.info("HTML  %s", template.name)

    def send(client: Client, path: str) -> list[str]:
        caplog.clear()
        template_rendered.connect(render)
        try:
            with caplog.at_level(logging.INFO, log.name), connection.execute_wrapper(query):
                assert client.get(path).status_code == 200
        finally:
            template_rendered.disconnect(render)
        return [line.getMessage() for line in caplog.records if line.name == log.name]

    monkeypatch.setattr(BaseHandler, "resolve_request", resolve)
    return send


@pytest.mark.databases
def test_a_request_goes_in_through_the_layers_and_out_the_other_way(
    academy: None, client: Client, trace: Callable[[Client, str], list[str]], record: Recorder, database: str
) -> None:
    lines = trace(client, "/courses/databases/")
    steps = [line.split() for line in lines if not line.startswith(" ")]
    kinds = [kind for kind, *_ in steps]
    names = [name for _, name, *_ in steps]
    assert names[:10] == [*LAYERS, "_get_response"]
    assert names[-10:] == [*LAYERS, "_get_response"][::-1]
    assert kinds == [
        *["in"] * 10, "URL", "hook", "hook", "view", "SQL", "HTML", "HTML", "SQL", *["out"] * 10
    ]  # fmt: skip
    assert lines[10] == "URL   course_detail {'slug': 'databases'}"
    if database == "postgresql":
        record("request_trace.txt", as_on_5_2("\n".join(lines)))


@pytest.mark.databases
def test_a_public_page_reads_the_session_of_who_has_one_on_5_2_alone(
    academy: None, client: Client, trace: Callable[[Client, str], list[str]]
) -> None:
    from lab.academy.models import User

    client.force_login(User.objects.get(email="ama@example.com"))
    lines = trace(client, "/courses/databases/")
    tables = [line.split()[1] for line in lines if line.startswith("SQL")]
    extra = ["django_session", "academy_user"] if READS_SESSION else []
    assert tables == [*extra, "academy_course", "academy_lesson"]


@pytest.mark.databases("postgresql")
def test_a_request_sends_two_queries(academy: None, client: Client, record: Recorder) -> None:
    with queries() as sent:
        client.get("/courses/databases/")
    record("request_queries.sql", sent.text)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_page_on_the_wire(academy: None, wire: Wire, record: Recorder) -> None:
    exchange = wire("GET", "/courses/databases/")
    assert exchange.status == 200
    record("request.http", as_on_5_2(exchange.text))


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)  # a request that begins closes old connections, an open transaction with them
def test_a_server_calls_the_application(academy: None, settings: Settings, session: Session) -> None:
    settings.ALLOWED_HOSTS = ["academy.example"]
    session("request_wsgi.pycon", BytesIO=BytesIO)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_server_gets_the_same_page(
    academy: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.asgi import application

    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)  # the connection of the view's thread ends with it
    headers = [(b"host", b"testserver")]

    async def ask() -> list[dict[str, Any]]:
        scope = {"type": "http", "method": "GET", "path": "/courses/databases/", "headers": headers}
        server = import_string("asgiref.testing.ApplicationCommunicator")(application, scope)
        await server.send_input({"type": "http.request"})
        messages = [await server.receive_output(5), await server.receive_output(5)]
        await server.wait(5)
        return messages

    start, body = async_to_sync(ask)()
    assert start["status"] == 200
    assert body["body"] == client.get("/courses/databases/").content


def test_the_layers_of_the_picture_are_those_of_the_settings(record: Recorder) -> None:
    source = (ROOT / "lab/django_app/diagrams/request_cycle.dot").read_text(encoding="utf-8")
    assert "\\n".join(LAYERS) in source
    record(
        "request_cycle.svg",
        draw(
            source,
            title="The way of a request through Django",
            description="The server hands the request to nine middleware layers, from CorsMiddleware to "
            "XFrameOptionsMiddleware. The URL patterns find the view. The view asks the model, which sends SQL to the "
            "database, and renders the template, which may ask the model too. The response goes back through the "
            "layers in the opposite order.",
        ),
    )


@pytest.mark.wrong("lab/django_app/request_cycle.py:wrong_order")
@pytest.mark.databases("postgresql")
def test_who_asks_is_unknown_before_the_authentication_layer(academy: None, session: Session) -> None:
    session("request_order.pycon", **ORDERS)


@pytest.mark.parametrize("path", ["/", "/courses/databases/", "/login/", "/health/", "/nothing/"])
def test_a_layer_in_the_wrong_place_is_an_error_on_every_page(academy: None, settings: Settings, path: str) -> None:
    assert Client().get(path).status_code in {200, 404}
    settings.MIDDLEWARE = WRONG_ORDER
    assert Client(raise_request_exception=False).get(path).status_code == 500


def test_on_the_way_out_the_first_layer_knows_the_user(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = []

    def late(get_response: Any) -> Any:
        def middleware(request: Any) -> Any:
            response = get_response(request)
            users.append(str(request.user))
            return response

        return middleware

    monkeypatch.setattr(request_cycle, "log_user", late)
    settings.MIDDLEWARE = WRONG_ORDER
    assert Client().get("/").status_code == 200
    assert users == ["AnonymousUser"]
    # ... unless a layer in between answers before there is a user.
    with pytest.raises(AttributeError, match="no attribute 'user'"):
        Client().get("/", headers={"Host": "evil.example"})


def test_a_layer_after_the_authentication_knows_the_user(
    db: None, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MIDDLEWARE = RIGHT_ORDER
    with caplog.at_level(logging.INFO, request_cycle.log.name):
        Client().get("/")
        Client().get("/%0Aama@example.com asks for /grades/")
    lines = [record.getMessage() for record in caplog.records if record.name == request_cycle.log.name]
    assert lines == ["AnonymousUser asks for '/'", r"AnonymousUser asks for '/\nama@example.com asks for /grades/'"]


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_missing_slash_is_a_redirect(academy: None, wire: Wire, record: Recorder) -> None:
    text = wire("GET", "/courses/databases").text
    if django.VERSION >= (6, 0):  # later releases count the empty body
        text = text.replace("Content-Length: 0\n", "")
    record("request_slash.http", text)


def test_a_missing_slash_loses_what_was_posted(academy: None, client: Client, settings: Settings) -> None:
    client.force_login(import_string("lab.academy.models.User").objects.first())
    response = client.post("/propose", {"title": "Sewing"}, follow=True)
    assert response.redirect_chain == [("/propose/", 301)]
    assert response.request["REQUEST_METHOD"] == "GET"
    settings.DEBUG = True
    with pytest.raises(RuntimeError, match="doesn't end in a slash"):
        client.post("/propose", {"title": "Sewing"})


@pytest.mark.wrong("lab/django_app/request_cycle.py:wrong_get")
@pytest.mark.urls("lab.django_app.request_cycle")
@pytest.mark.databases("postgresql")
def test_a_missing_row_is_an_error_unless_the_view_says_otherwise(academy: None, session: Session) -> None:
    session("request_missing.pycon", Client=Client)
    same = Client().get("/wrong/databases/")
    assert same.content == Client().get("/courses/databases/").content


@pytest.mark.urls("lab.django_app.request_cycle")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_an_error_tells_the_visitor_nothing_and_the_log_everything(
    academy: None, wire: Wire, record: Recorder, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    exchange = wire("GET", "/wrong/sewing/")
    record("request_error.http", as_on_5_2(exchange.text))
    assert "DoesNotExist" not in exchange.text
    assert "DoesNotExist: Course matching query does not exist." in caplog.text
    settings.DEBUG = True
    exchange = wire("GET", "/wrong/sewing/")
    assert exchange.status == 500
    assert "DoesNotExist" in exchange.body
    assert "INSTALLED_APPS" in exchange.body
    assert len(exchange.body) > 50_000


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_host_that_is_not_ours_is_refused(
    academy: None, wire: Wire, record: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    record("request_host.http", wire("GET", "/", {"Host": "evil.example"}).text)
    [line] = [record for record in caplog.records if record.name == "django.security.DisallowedHost"]
    assert line.getMessage().startswith("Invalid HTTP_HOST header: 'evil.example'")
