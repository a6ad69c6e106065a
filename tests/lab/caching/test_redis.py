"""What goes over the wire to a cache server, what is kept there, and who opens connections."""

from __future__ import annotations

import datetime
import threading
import time
import urllib.request
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache, RedisSerializer
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory
from django.views.decorators.cache import cache_page
from redis import Redis
from redis.exceptions import MaxConnectionsError

from lab.academy.models import Course
from lab.caching.redis import CompressedJSON, JSONSerializer, Letter, SharedPool, on_server
from tests.lab.marks import recorded_on_5_2
from tests.lab.serving import GUNICORN, UVICORN, serve
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.recording.files import Recorder

pytestmark = pytest.mark.services


@pytest.fixture
def url(server: Redis) -> str:
    """Return the URL of the server."""
    return str(caches["default"]._servers[0])  # type: ignore[attr-defined]


# What is sent

CALLS = (
    'cache.get("course:7")',
    'cache.set("course:7", ["Databases", 30])',
    'cache.set("course:7", ["Databases", 30], timeout=None)',
    'cache.set("course:7", ["Databases", 30], version=2)',
    'cache.add("lock", "mine", timeout=10)',
    'cache.set("views", 7)',
    'cache.incr("views")',
    'cache.get_many(["views", "lock"])',
    'cache.set_many({"views": 1, "seats": 2})',
    'cache.touch("views", 60)',
    'cache.get_or_set("seats:2", 30)',
    'cache.delete_many(["views", "seats"])',
    "cache.clear()",
)


def commands(server: Redis, call: str) -> list[str]:
    """Return what one call sends to the server, as the server's MONITOR shows it."""
    seen: list[str] = []
    with server.monitor() as monitor:  # type: ignore[no-untyped-call]
        answer: list[Any] = []
        thread = threading.Thread(target=lambda: answer.append(eval(call, {"cache": cache})))  # noqa: S307
        thread.start()
        thread.join()
        server.echo("the end")
        for command in monitor.listen():
            if command["command"] == "ECHO the end":
                return seen
            if not command["command"].startswith(("HELLO", "CLIENT SETINFO")):
                seen.append(command["command"])
    raise AssertionError("the monitor ended")


def test_what_django_sends(server: Redis, record: Recorder) -> None:
    lines = []
    for call in CALLS:
        lines.append(call)
        lines += [f"    {command}" for command in commands(server, call)]
    record("redis_commands.txt", "\n".join(lines))


def test_the_version_and_the_prefix_are_in_the_key(server: Redis) -> None:
    cache.set("course:7", "Databases")
    assert server.keys() == [b"academy:1:course:7"]
    assert cache.get("course:7", version=2) is None
    assert cache.incr_version("course:7") == 2
    assert server.keys() == [b"academy:2:course:7"]


@pytest.mark.django_db
def test_the_clear_of_one_prefix_takes_the_others(server: Redis, url: str) -> None:
    other = RedisCache(url, {"KEY_PREFIX": "other-site"})
    other.set("session", "Ama")
    cache.clear()
    assert other.get("session") is None


# What is kept


def test_what_is_kept(server: Redis, session: Callable[..., None]) -> None:
    session("redis_pickle.pycon", cache=cache, server=server)


@pytest.mark.wrong("lab/caching/redis.py:wrong_trust")
def test_to_load_a_pickle_is_to_run_it(
    server: Redis, session: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    session("redis_trust.pycon", cache=cache, server=server, Letter=Letter)
    assert cache.get("course:7") is None
    assert capsys.readouterr().out == "I run in your web process\n"


def test_what_json_cannot_hold(server: Redis, settings: Settings, url: str, session: Callable[..., None]) -> None:
    settings.CACHES = {"default": on_server(url, serializer="lab.caching.redis.JSONSerializer")}
    session("redis_json.pycon", cache=cache, server=server, date=datetime.date, Letter=Letter)


def test_a_pickle_is_not_loaded_by_the_json_serializer(server: Redis, settings: Settings, url: str) -> None:
    cache.set("course:7", Letter())
    settings.CACHES = {"default": on_server(url, serializer=JSONSerializer)}
    with pytest.raises(UnicodeDecodeError):
        cache.get("course:7")
    cache.set("views", 7)
    assert cache.incr("views") == 8
    with pytest.raises(ValueError, match="not JSON compliant"):
        cache.set("mean", float("nan"))
    assert DjangoJSONEncoder().encode(datetime.date(2026, 1, 5)) == '"2026-01-05"', "it comes back as text"


def test_which_of_djangos_own_entries_are_json(server: Redis, settings: Settings, url: str) -> None:
    settings.CACHES = {"default": on_server(url, serializer=JSONSerializer)}
    template = engines["django"].from_string("{% load cache %}{% cache 60 name %}{{ name }}{% endcache %}")
    assert [template.render({"name": name}) for name in ("<b>", "other")] == ["&lt;b&gt;"] * 2
    with pytest.raises(TypeError, match="HttpResponse is not JSON"):
        cache_page(60)(lambda _: HttpResponse())(RequestFactory().get("/"))


def test_compression_is_for_what_is_long() -> None:
    one = CompressedJSON()
    for value in (7, "short", ["Databases"] * 1000, None, True, {"z": 1}):
        data = one.dumps(value)
        assert one.loads(data if isinstance(data, bytes) else str(data).encode()) == value
    assert one.dumps("short") == b'"short"'
    assert len(one.dumps(["Databases"] * 1000)) < 1000  # type: ignore[arg-type]


def catalogs() -> dict[str, tuple[Any, Any]]:
    """Return ways to keep the catalog: a value and its serializer."""
    courses = Course.objects.order_by("pk")
    values = list(courses.values("id", "title", "slug", "seats"))
    pickled = RedisSerializer()
    return {
        "model objects, pickled": (list(courses), pickled),
        "four columns as dicts, pickled": (values, pickled),
        "four columns as dicts, JSON": (values, JSONSerializer()),
        "four columns as dicts, JSON, compressed": (values, CompressedJSON()),
        "ids alone, JSON": ([row["id"] for row in values], JSONSerializer()),
    }


@recorded_on_5_2("a pickled model names the release")
@pytest.mark.django_db
def test_the_sizes(academy: None, record: Recorder) -> None:
    Course.objects.bulk_create(
        Course(
            title=f"Course {number}",
            slug=f"course-{number}",
            description="From the first step to a running service.",
            published=True,
            starts_on=datetime.date(2026, 1, 5),
            ends_on=datetime.date(2026, 2, 5),
        )
        for number in range(90)
    )
    rows = {name: len(serializer.dumps(value)) for name, (value, serializer) in catalogs().items()}
    head = "| A hundred courses | Bytes, to the nearest hundred |\n| --- | ---: |\n"
    record("redis_sizes.md", head + "\n".join(f"| {name} | {round(size, -2):,} |" for name, size in rows.items()))
    models, dicts, text, compressed, ids = rows.values()
    assert models > 3 * dicts
    assert text > 4 * compressed
    assert ids < compressed


# Connections


def pool_of(one: Any) -> Any:
    """Return the pool behind a cache; Django has no public name for it."""
    return one._cache._get_connection_pool(write=True)


def test_threads_have_connections_of_their_own(server: Redis) -> None:
    together = threading.Barrier(5)

    def ask() -> None:
        cache.get("course:7")
        together.wait(10)
        together.wait(10)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    together.wait(10)
    mine = len(server.client_list())
    together.wait(10)
    for thread in threads:
        thread.join()
    assert mine == 4 + 1


def test_one_pool_for_all_threads(server: Redis, settings: Settings, url: str) -> None:
    settings.CACHES = {"default": on_server(url, pool_class=SharedPool)}
    pools: list[Any] = []

    def ask() -> None:
        cache.get("course:7")
        pools.append(pool_of(caches["default"]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
        thread.join()
    assert len(set(map(id, pools))) == 1
    assert len(server.client_list()) == 2
    pools[0].disconnect()
    del SharedPool.pools[url]


def test_a_pool_has_an_end(server: Redis, url: str) -> None:
    one = RedisCache(url, {"OPTIONS": {"max_connections": 1}})
    assert pool_of(RedisCache(url, {})).max_connections == 100
    pool = pool_of(one)
    taken = pool.get_connection()
    with pytest.raises(MaxConnectionsError):
        one.get("course:7")
    pool.release(taken)
    pool.disconnect()


SERVERS = {
    "gunicorn, four threads": (*GUNICORN, "--workers", "1", "--threads", "4"),
    "Uvicorn": UVICORN,
}


def connections_of(command: tuple[str, ...], urls: str, server: Redis, url: str, requests: int) -> int:
    """Return how many connections a server opens to the cache for so many requests, after the first."""
    with serve(*command, urls=urls, CACHE_URL=url) as site:

        def ask() -> None:
            with urllib.request.urlopen(f"{site}/popular/") as answer:  # noqa: S310
                assert answer.status == 200

        ask()
        before = int(server.info("stats")["total_connections_received"])
        for _ in range(requests):
            ask()
        return int(server.info("stats")["total_connections_received"]) - before


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_who_opens_connections(academy: None, server: Redis, url: str, record: Recorder) -> None:
    opened = {name: connections_of(command, "lab.caching.outage", server, url, 50) for name, command in SERVERS.items()}
    shared = f"{url}?pool_class=lab.caching.redis.SharedPool"
    opened["Uvicorn, `SharedPool`"] = connections_of(UVICORN, "lab.caching.outage", server, shared, 50)
    assert opened["gunicorn, four threads"] <= 3
    assert opened["Uvicorn"] == 50
    assert opened["Uvicorn, `SharedPool`"] == 0
    shown = {**opened, "gunicorn, four threads": "at most 3"}
    head = "| Server | New connections for 50 more requests |\n| --- | ---: |\n"
    record("redis_connections.md", head + "\n".join(f"| {name} | {number} |" for name, number in shown.items()))


# Data types and round trips


def test_the_types(url: str, session: Callable[..., None]) -> None:
    with Redis.from_url(url, decode_responses=True) as client:
        session("redis_hash.pycon", server=client)
        session("redis_leaderboard.pycon", server=client)
        session("redis_set.pycon", server=client)
        session("redis_counter.pycon", server=client)


def readers(server: Redis, keys: list[str]) -> dict[str, Callable[[], list[Any]]]:
    """Return three ways to read many keys."""

    def loop() -> list[Any]:
        return [cache.get(key) for key in keys]

    def many() -> list[Any]:
        return list(cache.get_many(keys).values())

    def pipeline() -> list[Any]:
        pipe = server.pipeline(transaction=False)
        for key in keys:
            pipe.get(cache.make_key(key))
        return [int(value) for value in pipe.execute()]

    return {"get() in a loop": loop, "get_many()": many, "a pipeline": pipeline}


def measure_round_trips(server: Redis, sizes: tuple[int, ...], times: int) -> Measurement:
    """Return how long each way takes."""
    cache.set_many({f"n:{number}": number for number in range(max(sizes))})
    lines: dict[str, list[tuple[float, float]]] = {}
    for size in sizes:
        ways = readers(server, [f"n:{number}" for number in range(size)])
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for run in range(times + 3):
            for name, read in ways.items():
                start = time.perf_counter()
                assert read() == list(range(size))
                if run >= 3:
                    taken[name].append(1000 * (time.perf_counter() - start))
        for name, each in taken.items():
            lines.setdefault(name, []).append((size, round(median(each), 3)))
    return Measurement(
        title="Reading many keys",
        description="A loop waits for the server once for each key; the others wait once.",
        x="keys",
        y="time (ms)",
        versions={
            "Django": version("django"),
            "redis-py": version("redis"),
            "Valkey": server.info("server")["valkey_version"],
        },
        lines=lines,
        log_x=True,
        log_y=True,
    )


@pytest.mark.measures("redis_round_trips")
def test_the_time_of_round_trips(
    server: Redis, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    recorded = measured("redis_round_trips.json", lambda: measure_round_trips(server, (1, 10, 100, 1000), 50))
    loop, many, pipeline = (dict(line) for line in recorded.lines.values())
    assert loop[1000] > 10 * many[1000]
    assert loop[1000] > 3 * pipeline[1000] > 3 * many[1000]
    assert many[1] > loop[1] / 3, "for one key there is nothing to win"


def test_one_trip_is_faster_than_many(server: Redis) -> None:
    series = measure_round_trips(server, (300,), 5)
    loop, many, _ = (dict(line)[300] for line in series.lines.values())
    assert loop > 3 * many
