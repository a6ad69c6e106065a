"""The lab's settings: from the environment, safe by default, and one line for what is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab import environment
from scripts.pages import ROOT
from tests.lab.production import kept, production

PRODUCTION = {
    "SECRET_KEY": "n3xus-" * 10,
    "ALLOWED_HOSTS": "academy.example, www.academy.example",
    "DATABASE_URL": "postgres://lab:secret@db.example:5432/academy",
    "CACHE_URL": "redis://cache.example:6379/0",
    "BROKER_URL": "redis://cache.example:6379/1",
    "BEHIND_PROXY": "true",
    "CORS_ORIGINS": "https://app.example, http://localhost:5173",
}


def manage(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with nothing in the environment but these variables."""
    return subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "lab/manage.py", *command],
        cwd=ROOT,
        env={**kept("COVERAGE"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_production_settings_pass_the_deployment_check() -> None:
    run = manage("check", "--deploy", "--fail-level", "INFO", **PRODUCTION)
    assert (run.returncode, run.stderr) == (0, "")
    assert "no issues (0 silenced)" in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL"])
def test_production_needs(name: str) -> None:
    run = manage("check", **{key: value for key, value in PRODUCTION.items() if key != name})
    assert run.returncode == 1
    assert run.stderr == f"{name} is not set. Set it, or DEBUG=true on your own machine.\n"


@pytest.mark.slow
def test_your_own_machine_needs_one_variable() -> None:
    run = manage("makemigrations", "--check", "--dry-run", DEBUG="true")
    assert (run.returncode, run.stderr) == (0, "")


MALFORMED = {
    "DEBUG": ("maybe", "'maybe' is neither true nor false"),
    "SECRET_KEY": ("secret", "it needs 50 characters"),
    "DATABASE_URL": ("oracle://db", "expected sqlite:///file"),
    "CACHE_URL": ("memcached", "expected redis://"),
    "BROKER_URL": ("localhost", "expected redis://"),
    "CORS_ORIGINS": ("app.example", "'app.example' is no origin; expected https://host"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_variable_is_named_in_one_line(name: str) -> None:
    value, what = MALFORMED[name]
    run = manage("check", **{**PRODUCTION, name: value})
    assert run.returncode == 1
    assert run.stderr.startswith(f"{name} is malformed: {what}")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["true", "1", "YES", "on"])
def test_yes(text: str) -> None:
    assert environment.boolean(text) is True


@pytest.mark.parametrize("text", ["false", "0", "No", "OFF"])
def test_no(text: str) -> None:
    assert environment.boolean(text) is False


def test_a_database_on_mysql_is_strict_and_knows_every_character() -> None:
    options = environment.database("mysql://a:b@host:3306/name?ssl_ca=/ca.pem")["OPTIONS"]
    assert options["ssl_ca"] == "/ca.pem"
    assert options["charset"] == "utf8mb4"
    assert "STRICT_TRANS_TABLES" in options["init_command"]


@pytest.mark.parametrize("url", ["postgres://", "postgres://host:port/name", "postgres://user:pw@host/", ""])
def test_a_url_without_a_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|port"):
        environment.database(url)


def test_caches_and_brokers() -> None:
    assert environment.cache("redis://h:6379/0")["BACKEND"] == "django.core.cache.backends.redis.RedisCache"
    assert environment.cache("locmemcache://")["BACKEND"].endswith("LocMemCache")
    assert environment.broker("amqp://a:b@h:5672/v") == "amqp://a:b@h:5672/v"
    assert environment.broker("") == ""


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "app.example", "https://", "https://app.example/", "https://App.example", "https://a@app.example"],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        environment.origins(f"https://app.example:8443, {origin}")


def test_origins() -> None:
    assert environment.origins("https://app.example, http://localhost:5173") == [
        "https://app.example",
        "http://localhost:5173",
    ]
    assert environment.origins("") == []


@pytest.mark.parametrize(("behind", "proxies"), [("true", 1), ("false", 0)])
def test_a_header_about_the_client_is_believed_from_a_proxy_only(
    monkeypatch: pytest.MonkeyPatch, behind: str, proxies: int
) -> None:
    found = production(monkeypatch, BEHIND_PROXY=behind)
    assert found["REST_FRAMEWORK"]["NUM_PROXIES"] == proxies
    assert (found["SECURE_PROXY_SSL_HEADER"] is None) == (behind == "false")


def test_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS", "a.example, b.example,")
    assert environment.read("HOSTS", environment.words) == ["a.example", "b.example"]
    monkeypatch.delenv("HOSTS")
    assert environment.read("HOSTS", environment.words, default="") == []
    with pytest.raises(environment.WrongVariable, match="HOSTS is not set"):
        environment.read("HOSTS", environment.words)
