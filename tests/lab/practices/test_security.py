"""The checklist: what the settings refuse, what goes over the wire, and how this repository keeps its own rules."""

from __future__ import annotations

import re
import subprocess
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest
import yaml
from django.conf import global_settings
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.template import Engine
from django.test import Client
from rest_framework.permissions import AllowAny
from rest_framework.settings import DEFAULTS

from lab.academy.models import Course, User
from lab.practices import security
from lab.practices.owasp_data import confirm
from lab.practices.security import key, wrong_key
from scripts.pages import ROOT
from tests.lab.marks import recorded_on_5_2
from tests.lab.production import PRODUCTION
from tests.lab.serving import GUNICORN, serve
from tests.recording.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django import Settings

    from tests.recording.files import Recorder


@recorded_on_5_2("newer releases check the mail server as well")
@pytest.mark.slow
def test_what_check_deploy_says_of_the_lab(tmp_path: Path, shell: Callable[..., None]) -> None:
    (tmp_path / "lab").symlink_to(ROOT / "lab")
    shell("security_check.console")


# Environment variables


@pytest.mark.wrong("lab/practices/security.py:wrong_key")
def test_a_key_from_the_repository_signs_for_everybody(academy: None, settings: Settings) -> None:
    text = (ROOT / "lab/practices/security.py").read_text(encoding="utf-8")
    published = re.search(r'"(django-insecure[^"]+)"', text)
    assert published
    course = Course.objects.get(slug="python")
    forged = signing.dumps([course.pk, "stranger@example.com"], key=published[1], salt="reserve")
    settings.SECRET_KEY = wrong_key({})
    assert confirm(forged).learner.email == "stranger@example.com", "a seat, and no mail was read"
    with pytest.raises(KeyError):
        key({})
    with pytest.raises(ValueError, match="50 characters"):
        key({"SECRET_KEY": published[1]})
    settings.SECRET_KEY = key({"SECRET_KEY": PRODUCTION["SECRET_KEY"]})
    with pytest.raises(signing.BadSignature):
        confirm(forged)


# Authentication


def test_the_session_about_passwords(academy: None, real_hashers: None, session: Callable[..., None]) -> None:
    ama = User.objects.get(email="ama@example.com")
    session(
        "security_password.pycon", ama=ama, validate_password=validate_password, signing=signing, b64decode=b64decode
    )


# Permissions


def test_a_forgotten_rule_is_a_closed_door(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, record: Recorder
) -> None:
    settings.ROOT_URLCONF = "lab.practices.security"
    paths = {"grades": "/grades/", "Grades": "/api/grades/"}

    def ask() -> list[int]:
        return [Client().get(path).status_code for path in paths.values()]

    strict = ask()
    assert DEFAULTS["DEFAULT_PERMISSION_CLASSES"] == ["rest_framework.permissions.AllowAny"]
    with monkeypatch.context() as without_rest:
        without_rest.setattr(security.Grades, "permission_classes", [AllowAny])
        assert ask() == [302, 200], "the middleware alone leaves DRF's views open"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "LoginRequired" not in name]
    assert ask() == [200, 401], "DRF's setting alone leaves Django's views open"
    monkeypatch.setattr(security.Grades, "permission_classes", [AllowAny])  # it read the default when it was made
    alone = ask()
    assert (alone, strict) == ([200, 200], [302, 401])
    rows = ["| A view without a rule | Django and DRF as they come | the lab |", "| --- | ---: | ---: |"]
    rows += [f"| `{name}` | {before} | {after} |" for name, before, after in zip(paths, alone, strict, strict=True)]
    record("security_default.md", "\n".join(rows))


# Headers


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_headers_on_the_wire(record: Recorder) -> None:
    with serve(*GUNICORN, DEBUG="false", BEHIND_PROXY="true") as address:
        answer = exchange(address, "HEAD", "/login/", {"X-Forwarded-Proto": "https"})
    assert answer.status == 200
    assert answer.headers("Strict-Transport-Security") == ["max-age=31536000; includeSubDomains; preload"]
    assert answer.headers("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers("Referrer-Policy") == ["same-origin"]
    assert answer.headers("Cross-Origin-Opener-Policy") == ["same-origin"]
    assert answer.headers("X-Frame-Options") == ["DENY"]
    assert "Secure" in answer.headers("Set-Cookie")[0]
    assert answer.headers("Content-Security-Policy") == [], "the page says that the lab sends none"
    record("security_headers.http", answer.text)


def test_the_session_cookie_is_for_the_server_alone() -> None:
    assert global_settings.SESSION_COOKIE_HTTPONLY is True
    assert global_settings.CSRF_COOKIE_HTTPONLY is False
    assert global_settings.SESSION_COOKIE_SAMESITE == "Lax"


# The OWASP Top 10


def test_the_table_names_settings_that_exist_and_are_strict(settings: Settings) -> None:
    rows = re.findall(r"(?m)^\| A\d\d .*$", text_of("docs/practices/security.md"))
    assert len(rows) == 10
    named = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.rpartition(" | ")[2])}
    in_rest = {"DEFAULT_PERMISSION_CLASSES", "DEFAULT_THROTTLE_RATES"}
    assert in_rest <= named & settings.REST_FRAMEWORK.keys()
    assert all(hasattr(global_settings, name) for name in named - in_rest)
    assert global_settings.SESSION_SERIALIZER == "django.contrib.sessions.serializers.JSONSerializer"
    assert Engine().autoescape is True


# This repository


def text_of(*names: str) -> str:
    """Return the text of some files of the repository."""
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def test_how_this_repository_does_it() -> None:
    for variable in ("SECRET_KEY", "DATABASE_URL"):
        read = text_of("lab/settings.py").partition(f'"{variable}",\n')[2].partition("\n    )")[0]
        assert re.search(r"default=.* if DEBUG else None", read), variable
    assert "--require-hashes" in text_of("Dockerfile")
    assert "USER 10001" in text_of("Dockerfile")
    updates = yaml.safe_load(text_of(".github/dependabot.yml"))["updates"]
    assert {update["cooldown"]["default-days"] for update in updates} == {7}
    workflows = [f".github/workflows/{file.name}" for file in (ROOT / ".github/workflows").glob("*.yml")]
    assert workflows
    for name in workflows:
        text = text_of(name)
        assert "\npermissions: {}\n" in text
        used = re.findall(r"uses: (\S+)", text)
        assert used
        assert all(re.search(r"@[0-9a-f]{40}$", action) for action in used), name


def test_no_secret_file_is_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no clone: git knows of no files")
    names = [name.rpartition("/")[2] for name in listed.stdout.splitlines()]
    assert names
    assert not [name for name in names if name == ".env" or name.endswith((".pem", ".key", ".p12"))]
