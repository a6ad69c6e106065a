"""The cache server stops, hangs and comes back, and what the site answers meanwhile."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache
from django.test import Client, RequestFactory
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004
    MaxConnectionsError,
    OutOfMemoryError,
    ResponseError,
    TimeoutError,  # noqa: A004
)
from rest_framework.request import Request
from rest_framework.throttling import AnonRateThrottle
from rest_framework.views import APIView

from lab.academy.models import User
from lab.caching import outage
from lab.caching.outage import TolerantCache, WrongTolerantCache, patient_for
from scripts.services import Unavailable, running
from tests.lab.marks import recorded_on_5_2
from tests.lab.outage import database_down
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

pytestmark = pytest.mark.services
SHORT = 0.1  # seconds
STOCK = "django.core.cache.backends.redis.RedisCache"


class Server:
    """A Valkey of this test's own."""

    def __init__(self) -> None:
        self.running = ExitStack()
        try:
            self.url = self.running.enter_context(running("valkey"))
        except Unavailable as reason:
            pytest.skip(str(reason))
        with Redis.from_url(self.url) as client:
            self.process = int(client.info("server")["process_id"])

    def stop(self) -> None:
        """Let it end: from now on connections are refused."""
        self.running.close()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let it be there and not answer: the system still takes connections for it."""
        os.kill(self.process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process, signal.SIGCONT)


@pytest.fixture
def server() -> Iterator[Server]:
    """A Valkey that may be stopped; what the process knew of another one is forgotten."""
    outage.outages.clear()
    own = Server()
    yield own
    own.stop()
    outage.outages.clear()


@pytest.fixture
def stock(server: Server, settings: Settings) -> None:
    """Django's own backend, as it comes."""
    settings.ROOT_URLCONF = "lab.caching.outage"
    settings.CACHES = {"default": {"BACKEND": STOCK, "LOCATION": server.url}}


@pytest.fixture
def tolerant(server: Server, settings: Settings) -> None:
    """The backend of the page."""
    settings.ROOT_URLCONF = "lab.caching.outage"
    settings.CACHES = {"default": patient_for(SHORT, server.url)}


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """``later()`` lets the pause of the breaker be over."""
    passed = 0.0
    monkeypatch.setattr(outage, "monotonic", lambda: time.monotonic() + passed)

    def let_pass() -> None:
        nonlocal passed
        passed += outage.PAUSE + 1

    return let_pass


def quiet(client: Client | None = None) -> Client:
    """Return a client that gets the error page, as a visitor does."""
    client = client or Client()
    client.raise_request_exception = False
    return client


# The server is gone


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_every_page_fails_when_the_cache_is_gone(
    academy: None, stock: None, server: Server, wire: Callable[..., Exchange], record: Recorder
) -> None:
    assert wire("GET", "/popular/").status == 200
    server.stop()
    answer = wire("GET", "/popular/")
    assert answer.status == 500
    with pytest.raises(ConnectionError) as raised:
        cache.get("courses:popular")
    text = f"{type(raised.value).__module__}.{type(raised.value).__name__}: {raised.value}"
    record("outage_wrong.txt", text.replace(server.url.split("/")[2], "127.0.0.1:6379"))


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_the_page_stays_when_the_cache_is_gone(
    academy: None,
    tolerant: None,
    server: Server,
    wire: Callable[..., Exchange],
    record: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = wire("GET", "/popular/")
    server.stop()
    with caplog.at_level(logging.WARNING, "lab.caching.outage"):
        answers = [wire("GET", "/popular/") for _ in range(20)]
    assert {answer.body for answer in answers} == {before.body}
    lines = [entry for entry in caplog.records if entry.name == "lab.caching.outage"]
    assert len(lines) == 1, "once, not for each of the twenty"
    text = f"{lines[0].levelname} {lines[0].name} {lines[0].getMessage()}"
    record("outage.txt", text.replace(server.url.split("/")[2].split(":")[1].split("/")[0], "6379"))


@recorded_on_5_2("it answers with Vary: Cookie, because it asks who is signed in")
@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_the_record_of_two_backends(
    academy: None, server: Server, settings: Settings, wire: Callable[..., Exchange], record: Recorder
) -> None:
    server.stop()
    settings.ROOT_URLCONF = "lab.caching.outage"
    settings.CACHES = {"default": {"BACKEND": STOCK, "LOCATION": server.url}}
    record("outage_wrong.http", wire("GET", "/popular/").text)
    settings.CACHES = {"default": patient_for(SHORT, server.url)}
    record("outage.http", wire("GET", "/popular/").text)


@pytest.mark.django_db
def test_the_load_falls_on_the_database(academy: None, tolerant: None, server: Server) -> None:
    def ask(times: int) -> int:
        with queries() as sent:
            for _ in range(times):
                assert Client().get("/popular/").status_code == 200
        return len(sent.statements)

    assert ask(20) == 1
    server.stop()
    assert ask(20) == 20


@pytest.mark.django_db
def test_a_restarted_server_is_empty(academy: None, tolerant: None, settings: Settings) -> None:
    Client().get("/popular/")
    assert "courses:popular" in cache
    again = Server()
    try:
        settings.CACHES = {"default": patient_for(SHORT, again.url)}
        assert "courses:popular" not in cache
    finally:
        again.stop()


# The server hangs


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_without_a_word_of_yours_an_answer_is_waited_for_five_seconds(stock: None) -> None:
    pool = caches["default"]._cache.get_client().connection_pool  # type: ignore[attr-defined]
    connection = pool.make_connection()
    assert connection.socket_timeout == connection.socket_connect_timeout == 5
    assert connection.retry.get_retries() == 0, "Django's pool never retries"
    assert Redis().connection_pool.make_connection().retry.get_retries() == 10  # type: ignore[attr-defined]


def test_which_errors_say_away() -> None:
    assert issubclass(AuthenticationError, outage.DOWN), "a wrong password is an outage to this class"
    assert issubclass(MaxConnectionsError, outage.DOWN), "so is a pool with no connection left"
    assert not issubclass(OutOfMemoryError, outage.DOWN), "a full server is none"


@pytest.mark.wrong("lab/caching/outage.py:wrong_cache")
def test_each_read_waits_where_errors_are_caught_and_nothing_is_learned(server: Server) -> None:
    config = {"OPTIONS": patient_for(SHORT, server.url)["OPTIONS"]}
    wrong, right = WrongTolerantCache(server.url, config), TolerantCache(server.url, config)
    for one in (wrong, right):
        one.set("course:1", "Databases")
        assert one.get("course:1") == "Databases"
    with server.hanging():
        assert seconds(lambda: [wrong.get("course:1") for _ in range(5)]) >= 5 * SHORT
        assert seconds(lambda: [right.get("course:1") for _ in range(5)]) < 3 * SHORT
    # It hides more than an outage:
    Redis.from_url(server.url).lpush(wrong.make_key("list"), "a")
    assert wrong.get("list", "nothing") == "nothing"
    right = TolerantCache(server.url + "?", config)  # which knows of no outage
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        right.get("list")


def test_a_host_that_takes_no_connection_is_waited_for_too() -> None:
    # A full queue: the system drops what asks for a connection, as a firewall or a machine without power does.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, ExitStack() as waiting:
        port = deaf.getsockname()[1]
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(("127.0.0.1", port))
        cut_off = RedisCache(f"redis://127.0.0.1:{port}", {"OPTIONS": {"socket_connect_timeout": SHORT}})
        with pytest.raises(TimeoutError, match="connecting"):
            cut_off.get("course:1")


# What the mended backend does and does not


def test_it_comes_back(
    tolerant: None, server: Server, later: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("course:1", "Databases")
    with server.hanging():
        assert cache.get("course:1") is None
        later()
        assert seconds(lambda: [cache.get("course:1") for _ in range(5)]) < 3 * SHORT, "one try, and a new pause"
    assert cache.get("course:1") is None, "it is not asked before the pause is over"
    later()
    assert cache.get("course:1") == "Databases"
    assert [entry.getMessage() for entry in caplog.records if entry.name == "lab.caching.outage"] == [
        "The cache is away: Timeout reading from socket",
        "The cache is back.",
    ]


def test_a_deletion_is_lost(
    tolerant: None, server: Server, later: Callable[[], None], session: Callable[..., None]
) -> None:
    with ExitStack() as away:

        def wake() -> None:
            away.close()
            later()

        session(
            "outage_lost.pycon",
            cache=cache,
            hang=lambda: away.enter_context(server.hanging()),
            wake=wake,
        )
    assert cache.get("course:1") == "Databases"
    assert Redis.from_url(server.url).ttl("course:1") == -2, "the key has a version before it"
    assert 0 < Redis.from_url(server.url).ttl(caches["default"].make_key("course:1")) <= 300


def test_every_method_has_an_answer_while_the_server_is_away(tolerant: None, server: Server) -> None:
    cache.set("a", 1)
    assert cache.add("a", 2) is False
    assert cache.touch("a") is True
    assert cache.get_many(["a", "b"]) == {"a": 1}
    assert cache.set_many({"b": 2}) == []
    assert "b" in cache
    cache.delete_many(["b"])
    assert cache.delete("a") is True
    server.stop()
    cache.set("a", 1)
    assert (cache.add("a", 2), cache.touch("a"), cache.has_key("a"), cache.delete("a")) == (False,) * 4
    assert cache.get("a", "nothing") == "nothing"
    assert cache.get_many(["a"]) == {}
    assert cache.set_many({"a": 1}) == ["a"]
    cache.delete_many(["a"])
    assert cache.get_or_set("a", lambda: 3) == 3


def test_what_must_not_be_guessed_still_raises(tolerant: None, server: Server) -> None:
    server.stop()
    for ask in (lambda: cache.incr("attempts"), cache.clear):
        with pytest.raises(ConnectionError):
            ask()


def test_a_mistake_of_the_program_is_no_outage(tolerant: None) -> None:
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        cache.set("course:1", lambda: None)
    assert not caches["default"].outage.began  # type: ignore[attr-defined]


def test_others_go_on_while_one_tries(server: Server, later: Callable[[], None]) -> None:
    tried, asked = threading.Event(), threading.Event()

    def slow() -> str:
        tried.set()
        asked.wait(10)
        return "late"

    def fail() -> str:
        raise ConnectionError("gone")

    known = outage.outages[server.url]
    assert known.attempt(fail, "miss") == "miss"
    later()
    thread = threading.Thread(target=known.attempt, args=(slow, "miss"))
    thread.start()
    assert tried.wait(10)
    assert known.attempt(lambda: "asked", "not asked") == "not asked"
    asked.set()
    thread.join()


# What hangs on the cache


def sign_in(engine: str, settings: Settings) -> Client:
    """Return the client of somebody who has signed in; sessions are kept as the engine says."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.ROOT_URLCONF = "lab.urls"
    client = quiet()
    client.force_login(User.objects.get(email="ama@example.com"))
    return client


def status(client: Client) -> str:
    """Say how a page that needs a login ends."""
    answer = client.get("/my-courses/")
    return {200: "signed in", 302: "asked to sign in", 500: "500"}[answer.status_code]


def what_sessions_do(server: Server, settings: Settings, later: Callable[[], None]) -> list[list[str]]:
    """Return for each way to keep a session what a visitor meets while the cache hangs, and after."""
    rows = []
    for engine in ("cache", "cached_db", "db"):
        for config in ({"BACKEND": STOCK, "LOCATION": server.url}, patient_for(SHORT, server.url)):
            outage.outages.clear()
            settings.CACHES = {"default": {**config, "OPTIONS": patient_for(SHORT, server.url)["OPTIONS"]}}
            client = sign_in(engine, settings)
            assert status(client) == "signed in"
            with server.hanging():
                during = status(client)
            later()
            rows.append([engine, config["BACKEND"].rsplit(".", 1)[1], during, status(client)])
    return rows


@pytest.mark.django_db
def test_sessions_in_the_cache_sign_everybody_out(
    academy: None, server: Server, settings: Settings, later: Callable[[], None], record: Recorder
) -> None:
    rows = what_sessions_do(server, settings, later)
    head = ["`SESSION_ENGINE`", "Cache", "While it hangs", "When it is back"]
    shown = [head, ["---"] * 4, *([f"`{engine}`", f"`{name}`", *rest] for engine, name, *rest in rows)]
    record("outage_sessions.md", "\n".join(f"| {' | '.join(row)} |" for row in shown))
    assert {tuple(row[:2]): tuple(row[2:]) for row in rows} == {
        ("cache", "RedisCache"): ("asked to sign in", "asked to sign in"),
        ("cache", "TolerantCache"): ("asked to sign in", "asked to sign in"),
        ("cached_db", "RedisCache"): ("500", "signed in"),
        ("cached_db", "TolerantCache"): ("signed in", "signed in"),
        ("db", "RedisCache"): ("signed in", "signed in"),
        ("db", "TolerantCache"): ("signed in", "signed in"),
    }


@pytest.mark.django_db
def test_nobody_can_sign_in_where_sessions_are_in_the_cache(
    academy: None, tolerant: None, server: Server, settings: Settings
) -> None:
    server.stop()
    with pytest.raises(RuntimeError, match="Unable to create a new session key"):
        sign_in("cache", settings)


class Throttle(AnonRateThrottle):
    """Three requests a minute."""

    rate = "3/min"


def allowed() -> list[bool]:
    """Return for each of five requests whether a limit of three lets it through."""
    request, view = Request(RequestFactory().get("/")), APIView()
    return [Throttle().allow_request(request, view) for _ in range(5)]


def test_a_rate_limit_in_a_tolerant_cache_is_none(tolerant: None, server: Server) -> None:
    assert allowed() == [True] * 3 + [False] * 2
    server.stop()
    assert allowed() == [True] * 5


def test_a_rate_limit_in_a_strict_cache_raises(stock: None, server: Server) -> None:
    server.stop()
    with pytest.raises(ConnectionError):
        allowed()


# The probes


@pytest.mark.django_db
def test_the_probes(academy: None, settings: Settings, record: Recorder) -> None:
    stopped = Server()
    stopped.stop()
    stock, tolerant = {"BACKEND": STOCK, "LOCATION": stopped.url}, patient_for(SHORT, stopped.url)
    rows = [["Probe", "Cache, stopped", "Answer"], ["---"] * 3]
    for title, urls, where, config in (
        ("the lab's", "lab.urls", "/health/", stock),
        ("the lab's", "lab.urls", "/health/", tolerant),
        ("this page's", "lab.caching.outage", "/ready/", tolerant),
    ):
        outage.outages.clear()
        settings.ROOT_URLCONF, settings.CACHES = urls, {"default": config}
        with suppress(ConnectionError):
            cache.get("courses:popular")
        answer = quiet().get(where)
        name = str(config["BACKEND"]).rsplit(".", 1)[1]
        rows.append([title, f"`{name}`", f"{answer.status_code} `{answer.content.decode()}`"])
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    outage.outages.clear()
    record("outage_probes.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    assert [row[2][:3] for row in rows[2:]] == ["503", "200", "200"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_the_database_decides(academy: None, tolerant: None) -> None:
    assert Client().get("/ready/").status_code == 200
    with database_down():
        assert Client().get("/ready/").json() == {"database": False, "cache": True}
        assert Client().get("/ready/").status_code == 503


# How long a page waits

READS = (1, 2, 7)


def measure_waits(server: Server, patience: float) -> dict[str, list[tuple[float, float]]]:
    """Return how long a page's reads take, in milliseconds, in each of four situations."""
    options = patient_for(SHORT, server.url)["OPTIONS"]
    long = {"socket_timeout": patience, "socket_connect_timeout": patience}
    caught, short = (WrongTolerantCache(server.url, {"OPTIONS": each}) for each in (long, options))
    tolerant = TolerantCache(server.url, {"OPTIONS": options})

    def page(one: RedisCache, reads: int) -> float:
        return round(1000 * seconds(lambda: [one.get(f"course:{n}") for n in range(reads)]), 4)

    page(short, 10)
    lines: dict[str, list[tuple[float, float]]] = {}
    lines["it answers"] = [(n, median(page(short, n) for _ in range(5))) for n in READS]
    with server.hanging():
        lines[f"{patience:g} s, errors caught"] = [(n, page(caught, n)) for n in READS]
        lines[f"{SHORT:g} s, errors caught"] = [(n, page(short, n)) for n in READS]
        tolerant.get("course:1")
        lines["TolerantCache, from the second page on"] = [
            (n, median(page(tolerant, n) for _ in range(5))) for n in READS
        ]
    return lines


def measure_outage(server: Server) -> Measurement:
    """Return the waits with redis-py's own patience."""
    with Redis.from_url(server.url) as client:
        release = client.info("server")["valkey_version"]
    return Measurement(
        title="A page while the cache hangs",
        description="With errors caught, the wait grows with the reads; with the breaker there is none.",
        x="reads of the cache on the page",
        y="time that they take together (ms)",
        versions={"Django": version("django"), "redis-py": version("redis"), "Valkey": release},
        lines=measure_waits(server, 5),
        log_x=True,
        log_y=True,
    )


@pytest.mark.measures("outage")
def test_how_long_a_page_waits(
    server: Server, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    recorded = measured("outage.json", lambda: measure_outage(server))
    answers, caught, short, tolerant = recorded.lines.values()
    for reads, taken in caught:
        assert taken == pytest.approx(reads * 5000, rel=0.1)
    for reads, taken in short:
        assert taken == pytest.approx(reads * 1000 * SHORT, rel=0.2)
    for (_, alive), (_, away) in zip(answers, tolerant, strict=True):
        assert away < alive < 100 * alive < 1000 * SHORT
    assert dict(caught)[7] > 30_000, "gunicorn's timeout"


def test_the_order_of_the_waits(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    outage.outages.clear()
    monkeypatch.setitem(globals(), "READS", (1, 2))
    _, caught, short, tolerant = measure_waits(server, 0.5).values()
    assert dict(caught)[2] >= 1000
    assert 200 <= dict(short)[2] < 600
    assert dict(tolerant)[2] < 100
