"""Tests that see a cache, tests that do not, and what counts its hits."""

from __future__ import annotations

import itertools
import random
import secrets
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis import Redis

from lab.academy.models import Course
from lab.caching.testing import Counted, CountedLocMemCache, CountedRedisCache, seats, set_seats, wrong_set_seats
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.core.cache.backends.base import BaseCache
    from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

    from tests.recording.files import Recorder

    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

DUMMY = "django.core.cache.backends.dummy.DummyCache"


# What a test sees


# --8<-- [start:fixture]
@pytest.fixture
def own_cache(settings: Settings) -> Iterator[None]:
    """A cache in memory for one test, empty at its beginning and its end."""
    backend = "django.core.cache.backends.locmem.LocMemCache"
    location = secrets.token_hex(8)
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location}}
    yield
    cache.clear()


# --8<-- [end:fixture]


# --8<-- [start:twice]
@pytest.mark.django_db
def test_the_second_read_asks_nobody(
    academy: None,
    own_cache: None,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(1):
        first = seats("python")
    with django_assert_num_queries(0):
        assert seats("python") == first


# --8<-- [end:twice]


# --8<-- [start:change]
def sees_a_change(
    write: Callable[[str, int], None],
    commit: DjangoCaptureOnCommitCallbacks,
) -> None:
    """Fail if a writer leaves an old value behind."""
    seats("python")  # without this line nothing is kept, and nothing can be old
    with commit(execute=True):
        write("python", 7)
    assert seats("python") == 7


@pytest.mark.django_db
def test_a_change_is_seen(
    academy: None,
    own_cache: None,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sees_a_change(set_seats, django_capture_on_commit_callbacks)


# --8<-- [end:change]


# --8<-- [start:clock]
@pytest.mark.django_db
def test_a_minute_is_a_minute(academy: None, own_cache: None) -> None:
    with time_machine.travel("2026-11-23T09:00Z", tick=False) as clock:
        before = seats("python")
        Course.objects.filter(slug="python").update(seats=7)
        clock.shift(59)
        assert seats("python") == before
        clock.shift(2)
        assert seats("python") == 7


# --8<-- [end:clock]


@pytest.mark.wrong("lab/caching/testing.py:wrong_set")
@pytest.mark.django_db
def test_who_notices_that_the_deletion_is_forgotten(
    academy: None,
    own_cache: None,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    record: Recorder,
) -> None:
    before = seats("python")
    rows = [["Cache of the test", "`set_seats`", "`wrong_set_seats`"], ["---"] * 3]
    for name, config in (
        ("`DummyCache`", {"BACKEND": DUMMY}),
        ("`LocMemCache`", settings.CACHES["default"]),
    ):
        settings.CACHES = {"default": config}
        ends = []
        for write in (set_seats, wrong_set_seats):
            cache.clear()
            Course.objects.filter(slug="python").update(seats=before)
            end = "passes"
            try:
                sees_a_change(write, django_capture_on_commit_callbacks)
            except AssertionError:
                end = "fails"
            ends.append(end)
        rows.append([name, *ends])
    assert rows[2:] == [["`DummyCache`", "passes", "passes"], ["`LocMemCache`", "passes", "fails"]]
    record("testing_dummy.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))


@pytest.mark.django_db
def test_without_the_commit_nothing_is_deleted(academy: None, own_cache: None) -> None:
    before = seats("python")
    set_seats("python", 7)
    assert seats("python") == before != 7


@pytest.mark.services
def test_a_clock_of_the_test_is_not_the_servers(valkey: BaseCache, session: Callable[..., None]) -> None:
    client = valkey._cache.get_client()  # type: ignore[attr-defined]
    local = LocMemCache("clock", {})
    local.clear()
    session("testing_clock.pycon", local=local, valkey=valkey, client=client, time_machine=time_machine)


@pytest.mark.services
def test_a_prefix_does_not_keep_clear_away(server_url: str, session: Callable[..., None]) -> None:
    one, two = (RedisCache(server_url, {"KEY_PREFIX": name}) for name in ("gw0", "gw1"))
    other = RedisCache(server_url.removesuffix("/0") + "/1", {"KEY_PREFIX": "gw0"})
    other.set("course:python:seats", 30)
    session("testing_prefix.pycon", gw0=one, gw1=two)
    assert other.get("course:python:seats") == 30, "a database of its own is left alone"


# Counting


def command(client: Redis, *words: str | int) -> Any:
    """Send a command for which redis-py has no method."""
    return client.execute_command(*words)  # type: ignore[no-untyped-call]


@pytest.mark.services
def test_what_the_server_counts(server_url: str, record: Recorder) -> None:
    one, client = RedisCache(server_url, {}), Redis.from_url(server_url)

    def set_and_delete() -> None:
        one.set("new", 1)
        one.delete("new")

    calls: dict[str, Callable[[], object]] = {
        "`get`, a hit": lambda: one.get("there"),
        "`get`, a miss": lambda: one.get("gone"),
        "`get_or_set`, a hit": lambda: one.get_or_set("there", 1),
        "`get_or_set`, a miss": lambda: one.get_or_set(secrets.token_hex(8), 1),
        "`get_many`, two hits and a miss": lambda: one.get_many(["there", "too", "gone"]),
        "`add`, the key is there": lambda: one.add("there", 1),
        "`incr`": lambda: one.incr("there"),
        "`set`, `delete`": set_and_delete,
    }
    rows, found = [["Call", "`keyspace_hits`", "`keyspace_misses`"], ["---", "---:", "---:"]], {}

    def seen() -> tuple[int, int]:
        stats = client.info("stats")
        return stats["keyspace_hits"], stats["keyspace_misses"]

    for name, call in calls.items():
        one.set("there", 1)
        one.set("too", 1)
        before = seen()
        call()
        found[name] = tuple(now - then for now, then in zip(seen(), before, strict=True))
        rows.append([name, *(str(each) for each in found[name])])
    record("testing_info.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    assert found["`get_or_set`, a miss"] == (1, 1)
    assert found["`get_many`, two hits and a miss"] == (2, 1)


@pytest.mark.services
@pytest.mark.parametrize("kind", [CountedRedisCache, CountedLocMemCache])
def test_the_backend_counts_by_family(
    server_url: str, kind: type, caplog: pytest.LogCaptureFixture, record: Recorder
) -> None:
    caplog.set_level("INFO")
    Counted.seen.clear()
    one = kind(server_url, {})
    one.clear()
    for number in range(400):
        one.get_or_set(f"course:{number % 20}:card", number)
        assert one.get_or_set(f"course:{number % 20}:card", lambda: 1) is not None
    for number in range(200):
        assert one.get(f"search:{number}") is None
    lines = [entry.getMessage() for entry in caplog.records if entry.name == "lab.caching.testing"]
    assert lines == ["cache course: 780 hits, 20 misses", "cache search: 0 hits, 200 misses"]
    record("testing_counted.txt", "\n".join(lines))
    assert Counted.seen.total() == 0


@pytest.mark.django_db
def test_the_backend_takes_the_place_of_djangos(academy: None, settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "lab.caching.testing.CountedLocMemCache", "LOCATION": "counted"}}
    Counted.seen.clear()
    for _ in range(3):
        assert seats("python") == Course.objects.get(slug="python").seats
    assert async_to_sync(cache.aget)("course:python:seats") is not None
    assert cache.get_or_set("course:python:seats", 1, 60, version=2) == 1
    assert cache.get("course:python:seats", version=2) == 1
    assert Counted.seen == {("course", "hit"): 4, ("course", "miss"): 2}
    Counted.seen.clear()
    cache.clear()


@pytest.mark.services
def test_the_logs_of_the_server(server_url: str, session: Callable[..., None]) -> None:
    client, one = Redis.from_url(server_url, decode_responses=True), RedisCache(server_url, {})
    client.config_set("commandlog-execution-slower-than", 1000)
    client.config_set("commandlog-reply-larger-than", 1_000_000)
    client.eval("for i = 1, 40000 do redis.call('SET', 'course:' .. i, 1) end", 0)

    def log(kind: str) -> list[str]:
        entries: Any = command(client, "COMMANDLOG", "GET", 10, kind)
        return [" ".join(map(str, entry[3])) for entry in entries]

    command(client, "COMMANDLOG", "RESET", "slow")
    session("testing_logs.pycon", valkey=one, client=client, log=log)


# Which share hits

KEYS = 5000
SIZE = 4000  # bytes of a value
FIT = (0.05, 0.1, 0.25, 0.5, 1)  # share of the keys that there is room for
SKEWS = {"every key alike": 0.0, "Zipf, exponent 0.8": 0.8, "Zipf, exponent 1.1": 1.1}


def weights(skew: float) -> list[float]:
    """Return how often each key is asked for: the second half as often as the first, and so on, at skew 1."""
    return list(itertools.accumulate(1 / rank**skew for rank in range(1, KEYS + 1)))


def asked(skew: float, times: int) -> list[int]:
    """Return the keys that are asked for."""
    chance = random.Random(2026)  # noqa: S311
    return chance.choices(range(KEYS), cum_weights=weights(skew), k=times)


def hit_rate(client: Redis, skew: float, room: int, reads: int) -> float:
    """Return the hits of a hundred reads, of which half as many went before, when there is room for so many keys."""
    value = b"x" * SIZE
    client.config_set("maxmemory", 0)
    command(client, "FLUSHALL", "SYNC")  # what goes later would be counted
    empty = client.info("memory")["used_memory"]
    for number in range(1000):
        client.set(f"key:{number}", value)
    each = (client.info("memory")["used_memory"] - empty) / 1000
    command(client, "FLUSHALL", "SYNC")
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", int(empty + each * room))
    hits = 0
    for place, number in enumerate(asked(skew, reads * 3 // 2)):
        if client.get(f"key:{number}") is None:
            client.set(f"key:{number}", value)
        elif place >= reads // 2:
            hits += 1
    return round(100 * hits / reads, 1)


def hit_rates(server_url: str, reads: int, fit: tuple[float, ...]) -> dict[str, list[tuple[float, float]]]:
    """Return the hit rate by how much fits, for each kind of load."""
    with Redis.from_url(server_url) as client:
        return {
            name: [(100 * share, hit_rate(client, skew, int(share * KEYS), reads)) for share in fit]
            for name, skew in SKEWS.items()
        }


def measure(server_url: str) -> Measurement:
    """Return the hit rates."""
    with Redis.from_url(server_url) as client:
        release = client.info("server")["valkey_version"]
    return Measurement(
        title="Hits, by how much fits into the cache",
        description="The more the load prefers few keys, the smaller a cache may be.",
        x="keys that fit (%)",
        y="hits (%)",
        versions={"redis-py": version("redis"), "Valkey": release},
        lines=hit_rates(server_url, 20_000, FIT),
    )


@pytest.mark.services
@pytest.mark.measures("testing_hits")
def test_the_hit_rate_comes_from_the_load(server_url: str, measured: Measured) -> None:
    alike, some, few = (
        dict(line) for line in measured("testing_hits.json", lambda: measure(server_url)).lines.values()
    )
    assert alike[10] < some[10] < few[10]
    assert alike[10] == pytest.approx(10, abs=5)
    assert few[10] > 5 * alike[10]
    assert few[5] > 50
    assert few[100] - few[50] < 10
    alike, _, few = (dict(line) for line in hit_rates(server_url, 2000, (0.1,)).values())
    assert few[10] > 3 * alike[10]


def test_a_longer_life_brings_less_and_less(record: Recorder) -> None:
    rows = [["TTL", "Hits, a few keys preferred", "Hits, every key alike"], ["---:", "---:", "---:"]]
    found: dict[int, list[float]] = {}
    for ttl in (10, 60, 300, 1800):
        found[ttl] = []
        for skew in (1.1, 0.0):
            ends: dict[int, float] = {}
            hits = reads = 0
            for place, number in enumerate(asked(skew, 36_000)):  # ten a second, for an hour
                now = place / 10
                if now >= 1800:
                    reads += 1
                    hits += ends.get(number, 0) > now
                if ends.get(number, 0) <= now:
                    ends[number] = now + ttl
            found[ttl].append(100 * hits / reads)
        rows.append([f"{ttl} s", *(f"{rate:.0f} %" for rate in found[ttl])])
    record("testing_ttl.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    preferred, alike = zip(*found.values(), strict=True)
    assert sorted(preferred) == list(preferred)
    assert all(one > other for one, other in zip(preferred, alike, strict=True))
