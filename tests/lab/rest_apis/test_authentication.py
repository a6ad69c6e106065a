"""Who is asking: each way to say it, as it works and as it is refused."""

from __future__ import annotations

import base64
import datetime
import hashlib
import secrets
import subprocess
import sys
import time
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import IntegrityError, transaction
from rest_framework.authtoken.models import Token
from rest_framework.authtoken.views import ObtainAuthToken
from rest_framework.test import APIClient
from rest_framework.throttling import AnonRateThrottle
from rest_framework_simplejwt.views import TokenObtainPairView

from lab.academy.models import Course, User
from tests.lab.marks import recorded_on_5_2
from tests.lab.people import PASSWORD, bearer
from tests.recording import versions
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.test import Client
    from pytest_django import Settings
    from time_machine import TimeMachineFixture

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]

SAMPLES = pytest.mark.urls("lab.rest_apis.authentication_samples")
CSRF = "ab" * 16
KEY = "a-key-of-the-library-and-of-nobody-else"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed."""
    found: list[str] = []
    original = PBKDF2PasswordHasher.encode

    def heard(self: Any, password: str, *args: Any) -> str:
        found.append(password)
        return str(original(self, password, *args))

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", heard)
    return found


def basic(email: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()}


# The session


@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_session_needs_the_csrf_token_to_write(
    people: People, client: Client, wire: Callable[..., Exchange], record: Recorder
) -> None:
    client.force_login(people.ama)
    cookies = {"Cookie": f"sessionid={client.cookies['sessionid'].value}; csrftoken={CSRF}"}
    one = f"/api/v1/enrollments/{people.ama.learner.enrollments.earliest('pk').pk}/"
    assert wire("GET", one, cookies).status == 200
    without = wire("DELETE", one, cookies)
    assert without.status == 403
    record("authentication_csrf_missing.http", without.text)
    proven = wire("DELETE", one, {**cookies, "X-CSRFToken": CSRF})
    assert proven.status == 204
    record("authentication_csrf.http", proven.text.replace(CSRF, "…"))


@pytest.mark.databases
def test_only_a_session_needs_the_csrf_token(people: People) -> None:
    one = f"/api/v1/enrollments/{people.ama.learner.enrollments.earliest('pk').pk}/"
    browser = APIClient(enforce_csrf_checks=True)
    assert browser.delete(one).status_code == 401, "nobody: there is nothing to forge"
    browser.force_login(people.ama)
    assert browser.get(one).status_code == 200
    refused = browser.delete(one)
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("CSRF Failed")
    assert APIClient(enforce_csrf_checks=True).delete(one, headers=bearer(people.ama)).status_code == 204


@pytest.mark.databases
def test_the_first_class_that_knows_the_request_decides(people: People) -> None:
    browser = APIClient()
    browser.force_login(people.ama)
    assert browser.get("/api/v1/enrollments/").status_code == 200
    assert browser.get("/api/v1/enrollments/", headers={"Authorization": "Bearer no"}).status_code == 401
    assert browser.get("/api/v1/enrollments/", headers={"Authorization": "Other no"}).status_code == 200


# 401 or 403


@SAMPLES
@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_order_of_the_classes_decides_the_status(
    people: People, wire: Callable[..., Exchange], record: Recorder
) -> None:
    asked = wire("GET", "/jwt-first/")
    assert asked.status == 401
    assert asked.headers("WWW-Authenticate") == ['Bearer realm="api"']
    record("authentication_401.http", asked.text)
    refused = wire("GET", "/session-first/")
    assert refused.status == 403
    assert refused.headers("WWW-Authenticate") == []
    record("authentication_403.http", refused.text)


@SAMPLES
@pytest.mark.databases
def test_the_order_decides_for_bad_tokens_too(people: People) -> None:
    bad = {"Authorization": "Bearer no"}
    assert APIClient().get("/jwt-first/", headers=bad).status_code == 401
    assert APIClient().get("/session-first/", headers=bad).status_code == 403
    for path in ("/jwt-first/", "/session-first/"):
        assert APIClient().get(path, headers=bearer(people.ama)).json() == {"you": "ama@example.com"}


# The same answer


@pytest.mark.databases("postgresql")
def test_the_recorded_refusals(people: People, session: Session, hashed: list[str]) -> None:
    session("authentication_refusals.pycon", client=APIClient(), hashed=hashed)


@pytest.mark.databases
def test_a_refusal_does_not_tell_who_has_an_account(people: People, hashed: list[str]) -> None:
    User.objects.filter(pk=people.kofi.pk).update(is_active=False)
    answers = []
    for email, password in (
        ("ama@example.com", "wrong"),
        ("nobody@example.com", "wrong"),
        ("kofi@example.com", PASSWORD),
    ):
        hashed.clear()
        answer = APIClient().post("/api/v1/token/", {"email": email, "password": password})
        answers.append((answer.status_code, answer.content, sorted(answer.headers.items())))
        assert hashed == [password], "one hash, so that the time is the same"
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401


# DRF's tokens


@SAMPLES
@pytest.mark.databases("postgresql")
def test_the_recorded_token(people: People, session: Session, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC))
    session(
        "authentication_token.pycon",
        Token=Token,
        ama=people.ama,
        client=APIClient(),
        later=lambda **how: time_machine.shift(datetime.timedelta(**how)),
    )


@SAMPLES
@pytest.mark.databases
def test_a_token_of_drf_is_one_a_user_plain_and_everlasting(people: People, time_machine: TimeMachineFixture) -> None:
    token = Token.objects.create(user=people.ama)
    assert Token.objects.values_list("key", flat=True).get() == token.key
    headers = {"Authorization": f"Token {token.key}"}
    time_machine.move_to(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3650))
    assert APIClient().get("/token/", headers=headers).json() == {"you": "ama@example.com"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Token.objects.create(user=people.ama)
    people.ama.set_password("four tall palms")
    people.ama.save()
    assert APIClient().get("/token/", headers=headers).status_code == 200, "a new password does not end it"
    token.delete()
    assert APIClient().get("/token/", headers=headers).status_code == 401


def test_nobody_counts_who_asks_for_a_token_of_drf() -> None:
    assert ObtainAuthToken.throttle_classes == ()
    assert AnonRateThrottle in TokenObtainPairView.throttle_classes


# HTTP Basic


@SAMPLES
@pytest.mark.databases
def test_basic_hashes_the_password_on_each_request(people: People, hashed: list[str]) -> None:
    hashed.clear()
    for _ in range(3):
        answer = APIClient().get("/basic/", headers=basic("ama@example.com", PASSWORD))
        assert answer.json() == {"you": "ama@example.com"}
    assert hashed == [PASSWORD] * 3
    APIClient().get("/jwt-first/", headers=bearer(people.ama))
    assert len(hashed) == 3
    refused = APIClient().get("/basic/", headers=basic("ama@example.com", "wrong"))
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, 'Basic realm="api"')


@SAMPLES
@pytest.mark.django_db
def test_basic_is_not_asked_for_a_csrf_token(people: People) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    assert browser.post("/basic/", headers=basic("ama@example.com", PASSWORD)).status_code == 405, "it came that far"
    browser.force_login(people.ama)
    assert browser.post("/session-first/").status_code == 403


def timed(client: Client, path: str, headers: dict[str, str]) -> float:
    """Return how many milliseconds a request took, the median of nine."""
    taken = []
    for _ in range(10):
        start = time.perf_counter()
        assert client.get(path, headers=headers).status_code == 200
        taken.append((time.perf_counter() - start) * 1000)
    return round(median(taken[1:]), 1)


def measure(people: People, browser: Client) -> Measurement:
    """Return how long a request takes by each way to say who one is."""
    token = Token.objects.create(user=people.ama)
    browser.force_login(people.ama)
    server, release = versions.server().split()
    client = APIClient()
    return Measurement(
        title="One request, by how the client says who it is",
        description="A request with HTTP Basic takes many times as long as one with a session or a token.",
        x="credentials",
        y="time (ms)",
        versions={
            "Django": version("django"),
            "Django REST framework": version("djangorestframework"),
            server: release,
        },
        bars={
            "session": timed(browser, "/jwt-first/", {}),
            "JWT": timed(client, "/jwt-first/", bearer(people.ama)),
            "DRF token": timed(client, "/token/", {"Authorization": f"Token {token.key}"}),
            "HTTP Basic": timed(client, "/basic/", basic("ama@example.com", PASSWORD)),
        },
    )


@pytest.mark.measures("authentication_time")
@SAMPLES
@pytest.mark.databases("postgresql")
def test_the_time_of_a_request(
    real_hashers: None,
    people: People,
    client: Client,
    measured: Callable[[str, Callable[[], Measurement]], Measurement],
) -> None:
    bars = measured("authentication_time.json", lambda: measure(people, client)).bars
    assert bars["HTTP Basic"] > 10 * max(bars["session"], bars["JWT"], bars["DRF token"])


# A class of our own


@pytest.fixture
def library(people: People, settings: Settings) -> dict[str, str]:
    """The header of a program that acts for the teacher; she has a draft."""
    Course.objects.filter(slug="queues").update(teacher=people.teacher)
    settings.API_KEYS = {hashlib.sha256(KEY.encode()).hexdigest(): people.teacher.email}
    return {"Authorization": f"Api-Key {KEY}"}


@SAMPLES
@pytest.mark.databases
def test_a_key_says_who_is_asking(people: People, library: dict[str, str]) -> None:
    client = APIClient()
    assert client.get("/key/", headers=library).json() == {"you": "teacher@example.com"}
    for header in ("Api-Key", "Api-Key ", "Api-Key nothing", f"api-key {KEY}x"):
        refused = client.get("/key/", headers={"Authorization": header})
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, 'Api-Key realm="api"')
        assert refused.json()["detail"] == "This key is not valid."
    # None: the next class is asked.
    assert client.get("/key/", headers=bearer(people.ama)).json() == {"you": "ama@example.com"}
    assert client.get("/key/").json()["detail"] == "Authentication credentials were not provided."
    User.objects.filter(pk=people.teacher.pk).update(is_active=False)
    assert client.get("/key/", headers=library).status_code == 401


@SAMPLES
@pytest.mark.wrong("lab/rest_apis/authentication.py:wrong_key")
@pytest.mark.databases
def test_a_bad_key_that_counts_as_none_is_not_noticed(library: dict[str, str]) -> None:
    bad = {"Authorization": "Api-Key mistyped"}
    client = APIClient()
    assert client.get("/count/", headers=library).json() == 10
    assert client.get("/count/").json() == 9
    assert client.get("/count/", headers=bad).status_code == 401
    assert client.get("/wrong-count/", headers=library).json() == 10
    assert client.get("/wrong-count/", headers=bad).json() == 9


@SAMPLES
@pytest.mark.databases("postgresql")
def test_the_recorded_key(library: dict[str, str], session: Session) -> None:
    session("authentication_key.pycon", client=APIClient(), key=KEY)


@pytest.mark.slow
def test_a_module_with_views_cannot_be_named_in_the_defaults(tmp_path: Path) -> None:
    code = (
        "import django; from django.conf import settings; settings.configure(INSTALLED_APPS=[],"
        "REST_FRAMEWORK={'DEFAULT_AUTHENTICATION_CLASSES': ['views.Mine']}); django.setup();"
        "import rest_framework.views"
    )
    (tmp_path / "views.py").write_text("from rest_framework.views import APIView\nclass Mine: ...\n", encoding="utf-8")
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "ImportError" in run.stderr
    assert "circular import" in run.stderr
    (tmp_path / "views.py").write_text("class Mine: ...\n", encoding="utf-8")
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_key_of_the_standard_library_is_long_enough() -> None:
    assert len(base64.urlsafe_b64decode(secrets.token_urlsafe(32) + "=")) == 32
