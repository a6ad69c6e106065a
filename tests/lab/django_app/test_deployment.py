"""The lab in production: its settings, what probes are told, and what a visitor sees when it fails."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from wsgiref.handlers import BaseHandler

import django
import pytest
from django.contrib.auth import get_user
from django.core.cache import cache
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.signing import BadSignature, Signer
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.http import HttpRequest
from django.templatetags.static import static
from django.test import Client

from lab.academy.models import User
from lab.django_app import deployment
from scripts.pages import ROOT
from scripts.services import free_port
from tests.lab.outage import database_down
from tests.lab.production import PRODUCTION, kept, production
from tests.recording.exchange import exchange
from tests.recording.shell import rerun
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django import Settings

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

OLD, NEW = "old-key-" * 8, PRODUCTION["SECRET_KEY"]
HTTPS = {"x-forwarded-proto": "https"}
READS_SESSION = django.VERSION < (6, 0)  # also for a view that is open to everybody


@pytest.fixture
def in_production(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The security settings that the lab has in production, behind a proxy."""
    for name, value in production(monkeypatch, BEHIND_PROXY="true").items():
        if name.startswith(("SECURE_", "SESSION_", "CSRF_")):
            setattr(settings, name, value)


@pytest.mark.slow
def test_check_deploy_warns_of_a_fresh_project(tmp_path: Path, record: Recorder) -> None:
    name = "deployment_check_fresh.console"
    today = rerun(record.path(name).read_text(encoding="utf-8"), tmp_path)
    warnings = [f"security.W{number}" for number in ("004", "008", "009", "012", "016", "018", "020")]
    mail = [] if django.VERSION < (6, 1) else ["mail.E001"]
    assert re.findall(r"\((\w+\.[EW]\d{3})\)", today) == mail + warnings
    if not mail:
        record(name, today)


@pytest.mark.slow
def test_check_deploy_is_clean_and_migrations_are_applied(tmp_path: Path, shell: Callable[..., None]) -> None:
    (tmp_path / "lab").symlink_to(ROOT / "lab")
    shell("deployment_check_lab.console")


def test_debug_is_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert production(monkeypatch)["DEBUG"] is False
    for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"):
        assert production(monkeypatch)[name] is True


def test_debug_true_builds_no_manifest(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/site.css").write_text("h1 {}", encoding="utf-8")
    settings.STATICFILES_DIRS, settings.STATIC_ROOT = [tmp_path / "sources"], tmp_path / "collected"
    for debug in ("true", "false"):
        settings.STORAGES = production(monkeypatch, DEBUG=debug)["STORAGES"]
        call_command("collectstatic", verbosity=0, interactive=False)
        settings.STORAGES = production(monkeypatch)["STORAGES"]
        if debug == "true":
            with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
                static("site.css")
        else:
            assert static("site.css") != "/static/site.css"


def test_a_cautious_hsts_has_two_warnings(in_production: None, settings: Settings) -> None:
    def warnings() -> set[str | None]:
        return {warning.id for warning in run_checks(tags=["security"], include_deployment_checks=True)}

    strict = warnings()
    settings.SECURE_HSTS_SECONDS = 3600
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = False
    assert warnings() - strict == {"security.W005", "security.W021"}


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_foreign_host_gets_400(wire: Callable[..., Exchange], record: Recorder) -> None:
    answer = wire("GET", "/health/", {"Host": "10.0.3.7:8000"})
    assert answer.status == 400
    record("deployment_host.http", answer.text)


def test_plain_http_is_redirected(in_production: None, client: Client) -> None:
    answer = client.get("/timetable/?week=2")
    assert (answer.status_code, answer["location"]) == (301, "https://testserver/timetable/?week=2")


def test_a_request_that_came_https_is_not_redirected(in_production: None, client: Client) -> None:
    answer = client.get("/timetable/", headers=HTTPS)
    assert answer.status_code == 302, "to the login page, and so not to HTTPS"
    assert answer["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload"


def test_without_the_proxy_setting_the_redirect_never_ends(
    in_production: None, settings: Settings, client: Client
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = None
    answer = client.get("/timetable/", headers=HTTPS)
    assert (answer.status_code, answer["location"]) == (301, "https://testserver/timetable/")


@pytest.mark.parametrize("trusted", [True, False])
def test_without_the_proxy_setting_forms_fail(db: None, settings: Settings, trusted: bool) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if trusted else None
    headers = {**HTTPS, "host": "testserver", "origin": "https://testserver"}
    browser = Client(enforce_csrf_checks=True, headers=headers)
    browser.get("/login/")
    form = {"username": "ama@example.com", "password": "", "csrfmiddlewaretoken": browser.cookies["csrftoken"].value}
    assert browser.post("/login/", form).status_code == (200 if trusted else 403)


def test_the_lab_trusts_the_header_only_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert production(monkeypatch)["SECURE_PROXY_SSL_HEADER"] is None
    trusted = production(monkeypatch, BEHIND_PROXY="true")["SECURE_PROXY_SSL_HEADER"]
    assert trusted == ("HTTP_X_FORWARDED_PROTO", "https")


def test_a_probe_http_reaches_the_view(db: None, in_production: None, client: Client) -> None:
    assert client.get("/health/").status_code == 200
    assert client.get("/health/alive/").content == b"alive"
    assert client.get("/healthy/").status_code == 301


@pytest.mark.databases
def test_all_parts_work(db: None, client: Client) -> None:
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (200, {"database": True, "cache": True})


@pytest.mark.parametrize("path", ["/health/", "/health/alive/"])
def test_no_answer_to_a_probe_is_stored(db: None, client: Client, path: str) -> None:
    assert "no-store" in client.get(path)["cache-control"]


def test_a_probe_without_a_cookie_asks_the_database_nothing(db: None, client: Client) -> None:
    with queries() as asked:
        client.get("/health/alive/")
    assert asked.statements == []
    client.force_login(User.objects.create_user("ama@example.com"))
    with queries() as asked:
        client.get("/health/alive/")
    assert len(asked.statements) == 2 * READS_SESSION, "the session and the user, though the view is open"


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.django_db(transaction=True)
def test_readiness_names_the_database(client: Client) -> None:
    with database_down():
        answer = client.get("/health/")
        assert (answer.status_code, answer.json()) == (503, {"database": False, "cache": True})
        assert client.get("/health/alive/").status_code == 200, "a restart would not help"


def test_readiness_names_the_cache(db: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(key: str) -> None:
        raise ConnectionError("redis://:secret@cache.example:6379 refused")

    monkeypatch.setattr(cache, "get", refuse)
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (503, {"database": True, "cache": False})
    assert b"secret" not in answer.content


def as_on_5_2(text: str) -> str:
    """Return an exchange with the header that 5.2 alone sends, wherever it was made."""
    assert ("Vary: Cookie" in text) == READS_SESSION
    return text if READS_SESSION else re.sub(r"(?m)^(Content-Length: .*\n)", r"\1Vary: Cookie\n", text)


@pytest.mark.databases("postgresql")
def test_the_database_is_down(wire: Callable[..., Exchange], record: Recorder) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("{levelname} {name} {message}", style="{"))
    logging.getLogger().addHandler(handler)
    try:
        with database_down():
            record("deployment_down.http", as_on_5_2(wire("GET", "/health/").text))
            record("deployment_500.http", as_on_5_2(wire("GET", "/").text))
    finally:
        logging.getLogger().removeHandler(handler)
    lines = log.getvalue().splitlines()
    lines = lines[lines.index("ERROR django.request Internal Server Error: /") :]
    error = next(line for line in lines if line.startswith("django.db.utils."))
    error = re.sub(r"(Error: connection \w+:).*", r"\1 …", error)
    record("deployment_500.txt", "\n".join([*lines[:2], "  …", error]))


@pytest.mark.databases("postgresql")
def test_debug_shows_the_environment(
    settings: Settings, wire: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"DATABASE_URL": "postgres://lab:seven-rivers@db/academy", "API_TOKEN": "four-palms"}
    monkeypatch.setattr(BaseHandler, "os_environ", environment)  # what wsgiref read when the process started
    settings.DEBUG = True
    with database_down():
        shown = wire("GET", "/").body
    assert "seven-rivers" in shown, "the name DATABASE_URL looks harmless to Django"
    assert "four-palms" not in shown, "a name with TOKEN in it does not"
    assert "OperationalError" in shown


def test_a_new_key_accepts_what_the_former_one_signed(settings: Settings) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OLD, []
    signed = Signer().sign("seat 7")
    settings.SECRET_KEY = NEW
    with pytest.raises(BadSignature):
        Signer().unsign(signed)
    settings.SECRET_KEY_FALLBACKS = [OLD]
    assert Signer().unsign(signed) == "seat 7"


def test_the_lab_reads_former_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    assert production(monkeypatch)["SECRET_KEY_FALLBACKS"] == []
    assert production(monkeypatch, SECRET_KEY_FALLBACKS=OLD)["SECRET_KEY_FALLBACKS"] == [OLD]


@pytest.mark.parametrize("fallbacks", [[OLD], []])
def test_people_stay_signed_in_while_the_former_key_is_accepted(
    db: None, settings: Settings, client: Client, fallbacks: list[str]
) -> None:
    settings.SECRET_KEY = OLD
    client.force_login(User.objects.create_user("ama@example.com"))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, fallbacks
    request = HttpRequest()
    request.session = client.session
    assert get_user(request).is_authenticated is bool(fallbacks)


def connected(**settings: Any) -> DatabaseWrapper:
    """Return a further connection to the test database, with other settings."""
    further = connection.copy()
    assert isinstance(further, DatabaseWrapper)
    further.settings_dict = {**further.settings_dict, **settings}
    return further


def processes(database: DatabaseWrapper) -> set[int]:
    """Return the server processes behind five requests, each closing as Django does at its end."""
    found = set()
    for _ in range(5):
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            found.add(cursor.fetchone()[0])
        database.close()
    return found


@pytest.mark.databases("postgresql")
def test_a_pool_keeps_connections(transactional_db: None) -> None:
    assert len(processes(connected(CONN_MAX_AGE=0))) == 5, "without a pool, a connection a request"
    pooled = connected(**deployment.pooled(connection.settings_dict))
    try:
        pooled.pool.open()
        pooled.pool.wait()
        assert len(processes(pooled)) <= 2
        assert (pooled.pool.min_size, pooled.pool.max_size, pooled.pool.timeout) == (2, 8, 5)
    finally:
        pooled.close_pool()


@pytest.mark.databases("postgresql")
def test_a_pool_and_lasting_connections_exclude_each_other(transactional_db: None) -> None:
    both = connected(**{**deployment.pooled(connection.settings_dict), "CONN_MAX_AGE": 60})
    with pytest.raises(ImproperlyConfigured, match="persistent"):
        both.ensure_connection()


SERVE = """
import io
from wsgiref.util import setup_testing_defaults
from lab.wsgi import application
environ = {"HTTP_HOST": "academy.example", "PATH_INFO": "/health/alive/"}
setup_testing_defaults(environ)
print(b"".join(application(environ, lambda status, headers: print(status))))
"""


@pytest.mark.slow
def test_a_server_finds_the_application() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SERVE],
        cwd=ROOT,
        env={**kept(), **PRODUCTION},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines() == ["200 OK", "b'alive'"], run.stderr


def test_every_row_of_the_list_has_its_test() -> None:
    page = (ROOT / "docs/technologies/django/deployment.md").read_text(encoding="utf-8")
    named = re.findall(r"(?m)^\| .* \| `(test_\w+)` \|$", page)
    assert len(named) == 10
    assert not [name for name in named if name not in globals()]


@pytest.mark.slow
def test_gunicorn_gives_up_on_a_missing_variable(record: Recorder, tmp_path: Path) -> None:
    """What an operator looks for: the last line of the traceback, Gunicorn's errors, the status."""
    run = subprocess.run(
        [sys.executable, "-m", "gunicorn", "lab.wsgi", "--bind", "127.0.0.1:0"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},  # Gunicorn keeps a socket there
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 3
    lines = [line for line in run.stderr.splitlines() if "[ERROR]" in line or "WrongVariable: " in line]
    stable = [re.sub(r"^\[[^]]*\] \[\d+\]|(?<=pid:)\d+", "…", line) for line in lines]
    record("deployment_gunicorn.txt", "\n".join([*stable, f"exit status {run.returncode}"]))


SLOW_WSGI = """
import pathlib, time

def application(environ, start_response):
    pathlib.Path("begun").touch()
    time.sleep(2)
    start_response("200 OK", [("Content-Length", "4")])
    return [b"done"]
"""
SLOW_ASGI = """
import asyncio, pathlib

async def application(scope, receive, send):
    pathlib.Path("begun").touch()
    await asyncio.sleep(2)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"done"})
"""


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when something has happened; fail if it does not."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_a_server_finishes_a_request_after_sigterm(server: str, tmp_path: Path) -> None:
    """A slow request is under way when the signal comes, and is answered; one that comes now is not."""
    (tmp_path / "slow.py").write_text(SLOW_WSGI if server == "gunicorn" else SLOW_ASGI, encoding="utf-8")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    listen = {"gunicorn": ["--bind", f"127.0.0.1:{port}"], "uvicorn": ["--port", str(port), "--lifespan", "off"]}
    process = subprocess.Popen(
        [sys.executable, "-m", server, "slow:application", *listen[server]],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    with ThreadPoolExecutor(1) as pool:
        try:
            wait_for(listens)
            answer = pool.submit(exchange, address, "GET", "/")
            wait_for((tmp_path / "begun").exists)
        finally:
            process.terminate()
        time.sleep(0.5)
        assert not answer.done(), "the first request is still under way"
        with pytest.raises(ConnectionError):
            exchange(address, "GET", "/")
        assert answer.result().body == "done"
    assert process.wait(timeout=30) in {0, -signal.SIGTERM}
