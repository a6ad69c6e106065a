"""Who is slowed down, when, and who gets around it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.test import Client
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from lab.rest_apis.throttling import SignInsFromAddress, Three, ThreeCounted
from scripts import services
from scripts.pages import ROOT
from tests.lab.people import PASSWORD
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.cache.backends.base import BaseCache
    from pytest_django import Settings
    from rest_framework.throttling import SimpleRateThrottle

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

TOGETHER = pytest.mark.django_db(transaction=True)
EXPERIMENTS = pytest.mark.urls("lab.rest_apis.throttling_samples")
CATALOG = "/api/v1/courses/"
NOW = "2026-11-23T09:00:10Z"
REAL = "198.51.100.7"
FORGED = "203.0.113.9"


def statuses(path: str, number: int, **extra: Any) -> list[int]:
    """Return what an anonymous client is answered, time after time."""
    return [APIClient().get(path, **extra).status_code for _ in range(number)]


def sign_in(email: str, address: str = REAL, body: Any = None) -> int:
    """Return what a wrong password is answered."""
    data = {"email": email, "password": "a guess"} if body is None else body
    return APIClient().post("/api/v1/token/", data, REMOTE_ADDR=address).status_code


# Too many requests


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_one_request_too_many(academy: None, wire: Callable[..., Exchange], record: Recorder) -> None:
    with time_machine.travel(NOW, tick=False):
        assert set(statuses(CATALOG, 120)) == {200}
        answer = wire("GET", CATALOG, {"Accept": "application/json; indent=2"})
    assert (answer.status, answer.headers("Retry-After")) == (429, ["60"])
    record("throttling_429.http", answer.text)


@EXPERIMENTS
def test_a_refused_request_is_not_counted_and_the_window_slides() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        assert statuses("/limited/", 2) == [200, 200]
        clock.shift(30)
        assert statuses("/limited/", 3) == [200, 429, 429]
        assert APIClient().get("/limited/").headers["Retry-After"] == "30"
        clock.shift(30)
        assert statuses("/limited/", 3) == [200, 200, 429]


@EXPERIMENTS
def test_a_fixed_window_lets_a_double_burst_through_at_its_edge() -> None:
    with time_machine.travel("2026-11-23T09:00:59Z", tick=False) as clock:
        assert statuses("/counted/", 4) == [200, 200, 200, 429]
        assert APIClient().get("/counted/").headers["Retry-After"] == "1"
        assert statuses("/limited/", 4) == [200, 200, 200, 429]
        clock.shift(2)
        assert statuses("/counted/", 4) == [200, 200, 200, 429]
        assert statuses("/limited/", 1) == [429]


@pytest.mark.slow
def test_signed_in_users_have_a_budget_of_their_own(people: People) -> None:
    ama, kofi = people.client(people.ama), people.client(people.kofi)
    with time_machine.travel(NOW, tick=False):
        assert set(statuses(CATALOG, 120)) == {200}
        assert statuses(CATALOG, 1) == [429]
        assert {ama.get("/api/v1/enrollments/").status_code for _ in range(600)} == {200}
        assert ama.get("/api/v1/enrollments/").status_code == 429
        assert kofi.get("/api/v1/enrollments/").status_code == 200, "from the same address"


# Sign-ins


@pytest.mark.databases
def test_one_address_cannot_try_many_accounts(people: People) -> None:
    with time_machine.travel(NOW, tick=False):
        assert [sign_in(f"user{n}@example.com") for n in range(21)] == [401] * 20 + [429]
        assert sign_in("ama@example.com", address="198.51.100.8") == 401


@pytest.mark.databases
def test_many_addresses_cannot_try_one_account(people: People) -> None:
    emails = ["ama@example.com", " AMA@example.com "]
    with time_machine.travel(NOW, tick=False) as clock:
        tries = [sign_in(emails[n % 2], address=f"198.51.100.{n}") for n in range(21)]
        assert tries == [401] * 20 + [429]
        assert sign_in("kofi@example.com") == 401
        right = {"email": "ama@example.com", "password": PASSWORD}
        assert sign_in("", body=right) == 429, "the price: anybody can lock Ama out"
        clock.shift(3600)
        assert sign_in("", body=right) == 200
        assert sign_in("ama@example.com") == 401


@pytest.mark.databases
def test_another_spelling_of_an_account_is_not_another_account(people: People, database: str) -> None:
    """MariaDB finds ama@example.com for each of these."""
    emails = [f"{first}m{last}@example.com" for first in "aáàâä" for last in "aáàâä"]
    with time_machine.travel(NOW, tick=False):
        tries = [sign_in(email, address=f"198.51.100.{n}") for n, email in enumerate(emails)]
    assert tries == [401] * 20 + [429 if database == "mariadb" else 401] * 5


def test_a_sign_in_without_an_account_is_refused_as_before(db: None) -> None:
    assert sign_in("", body=["ama@example.com"]) == 400
    half = '{"email": "\\ud800", "password": "a guess"}'  # of a pair of surrogates
    assert APIClient().post("/api/v1/token/", half, content_type="application/json").status_code == 400
    assert sign_in("", body={}) == 400


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_djangos_own_forms_have_no_limit(people: People, path: str) -> None:
    tries = [Client().post(path, {"username": "ama@example.com", "password": "a guess"}) for _ in range(150)]
    assert {answer.status_code for answer in tries} == {200}


def test_a_wrong_token_is_never_throttled(academy: None) -> None:
    """Authentication and permissions come before the throttles."""
    wrong = statuses("/api/v1/enrollments/", 150, HTTP_AUTHORIZATION="Bearer a-guess")
    assert set(wrong) == {401}
    assert set(statuses("/api/v1/enrollments/", 150)) == {401}


# Who is who


def request_from(address: str, forwarded: str | None = None) -> Request:
    """Return a request as it reaches the application."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return Request(APIRequestFactory().get("/", REMOTE_ADDR=address, headers=headers))


def test_who_a_client_is(settings: Settings, record: Recorder) -> None:
    proxy = "10.0.0.1"
    requests = {
        "direct": request_from(REAL),
        "direct, forged": request_from(REAL, FORGED),
        "by a proxy": request_from(proxy, REAL),
        "by a proxy, forged": request_from(proxy, f"{FORGED}, {REAL}"),
    }
    lines = ["| Request | " + " | ".join(f"`{n}`" for n in (None, 0, 1)) + " |", "| --- | --- | --- | --- |"]
    seen: dict[tuple[str, int | None], str] = {}
    for number in (None, 0, 1):
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": number}
        for name, request in requests.items():
            seen[name, number] = Three().get_ident(request)
    for name in requests:
        lines.append(f"| {name} | " + " | ".join(f"`{seen[name, n]}`" for n in (None, 0, 1)) + " |")
    assert [seen[name, 0] for name in requests] == [REAL, REAL, proxy, proxy]
    assert [seen[name, 1] for name in requests] == [REAL, FORGED, REAL, REAL]
    assert FORGED in seen["direct, forged", None]
    record("throttling_identity.md", "\n".join(lines))


@EXPERIMENTS
def test_a_forged_header_gets_around_the_default(settings: Settings, record: Recorder) -> None:
    def forging() -> list[int]:
        return [APIClient().get("/limited/", HTTP_X_FORWARDED_FOR=f"203.0.113.{n}").status_code for n in range(6)]

    assert forging() == [200, 200, 200, 429, 429, 429], "the lab has no proxy in tests"
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": None}
    assert forging() == [200] * 6


def test_every_address_of_an_ipv6_network_counts_for_itself() -> None:
    with time_machine.travel(NOW, tick=False):
        tries = [SignInsFromAddress().allow_request(request_from(f"2001:db8::{n}"), None) for n in range(1, 30)]
    assert all(tries)


# Where the counts live


@EXPERIMENTS
def test_the_memory_of_a_process_forgets_clients() -> None:
    """It holds 300 entries, and drops the least used."""
    with time_machine.travel(NOW, tick=False):
        assert statuses("/limited/", 4) == [200, 200, 200, 429]
        for n in range(300):
            APIClient().get("/limited/", REMOTE_ADDR=f"2001:db8::{n:x}")
        assert statuses("/limited/", 1) == [200]


ASK = """
import django
django.setup()
from rest_framework.test import APIRequestFactory
from lab.rest_apis.throttling_samples import Limited
print(*(Limited.as_view()(APIRequestFactory().get("/")).status_code for _ in range(4)))
"""


def process(cache: str) -> str:
    """Return what four requests to a process of its own are answered."""
    variables = {"DEBUG": "true", "DATABASE_URL": "sqlite://:memory:", "CACHE_URL": cache}
    run = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env={**os.environ, **variables, "DJANGO_SETTINGS_MODULE": "lab.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()


@pytest.mark.slow
@pytest.mark.services
def test_each_process_counts_for_itself_unless_they_share_a_cache(record: Recorder) -> None:
    try:
        shared = f"{services.url('valkey')}?key_prefix={secrets.token_hex(8)}"
    except services.Unavailable as reason:
        pytest.skip(str(reason))
    lines = []
    for name, cache in (("the memory of each process", "locmemcache://"), ("Valkey", shared)):
        with ThreadPoolExecutor(1) as pool:
            answers = list(pool.map(process, [cache, cache]))
        passed = " ".join(answers).split().count("200")
        lines += [f"{name}: {passed} passed", *(f"  process {n}: {text}" for n, text in enumerate(answers, 1))]
        assert passed == (6 if cache == "locmemcache://" else 3)
    record("throttling_processes.txt", "\n".join(lines))


@EXPERIMENTS
def test_without_its_cache_the_api_is_down(settings: Settings) -> None:
    client = APIClient(raise_request_exception=False)
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    }
    assert [client.get(path).status_code for path in ("/limited/", "/counted/")] == [500, 500]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert statuses("/counted/", 5) == [200] * 5, "nothing counts"


class HeldBack:
    """A cache in which everybody has read before anybody writes."""

    def __init__(self, cache: BaseCache, number: int) -> None:
        self.cache = cache
        self.barrier = threading.Barrier(number, timeout=10)

    def get(self, key: str, default: Any) -> Any:
        """Return a value when all have asked for it."""
        value = self.cache.get(key, default)
        self.barrier.wait()
        return value

    def add(self, key: str, value: Any, timeout: float) -> bool:
        """Add a value, and go on when all have tried."""
        added = self.cache.add(key, value, timeout)
        self.barrier.wait()
        return added

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cache, name)


@pytest.mark.services
def test_requests_at_one_moment_pass_drfs_throttle(
    valkey: BaseCache, monkeypatch: pytest.MonkeyPatch, record: Recorder
) -> None:
    request = request_from(REAL)
    request.user = None  # type: ignore[assignment]  # nobody signed in; no thread has to look

    def passed(kind: type[SimpleRateThrottle]) -> int:
        monkeypatch.setattr(kind, "cache", HeldBack(valkey, 6))
        with ThreadPoolExecutor(6) as pool:
            return sum(pool.map(lambda _: kind().allow_request(request, APIView()), range(6)))

    with closing(valkey), time_machine.travel(NOW, tick=False):
        by_history, by_counter = passed(Three), passed(ThreeCounted)
        known = len(valkey.get(f"throttle_three_{REAL}"))
        monkeypatch.setattr(ThreeCounted, "cache", valkey)
        assert not ThreeCounted().allow_request(request, None)
    assert (by_history, known, by_counter) == (6, 1, 3)
    record(
        "throttling_race.txt",
        f"3 requests a minute, 6 at one moment\n"
        f"Three:        {by_history} passed, and the cache remembers {known}\n"
        f"ThreeCounted: {by_counter} passed",
    )


# What it does not save


@EXPERIMENTS
@pytest.mark.databases("postgresql")
def test_a_refused_request_has_cost_its_queries(people: People) -> None:
    browser = Client()
    browser.force_login(people.ama)
    assert [browser.get("/user/").status_code for _ in range(4)] == [200, 200, 200, 429]
    with queries() as sent:
        assert browser.get("/user/").status_code == 429
    assert [("django_session" in s, "academy_user" in s) for s in sent.statements] == [(True, False), (False, True)]
