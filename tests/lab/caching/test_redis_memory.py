"""A server that is full, one that lists its keys, and one that asks who is there."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import caches
from redis import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError

from lab.caching.redis import on_server
from lab.caching.redis_memory import KILOBYTE, keys, limit, wrong_keys
from scripts.services import Unavailable, running
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from tests.recording.files import Recorder

pytestmark = pytest.mark.services


@pytest.fixture
def server(server: Redis, server_url: str) -> Iterator[Redis]:
    """The chapter's server, with a client that reads text."""
    with Redis.from_url(server_url, decode_responses=True) as client:
        yield client


# Full


def test_a_new_server_has_no_limit(server: Redis) -> None:
    assert server.config_get("maxmemory*")["maxmemory"] == "0"
    assert server.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_full_server_refuses(server: Redis, session: Callable[..., None]) -> None:
    limit(server, 1, "noeviction")
    cache = caches["default"]
    session("redis_memory_full.pycon", cache=cache, KILOBYTE=KILOBYTE)
    with pytest.raises(OutOfMemoryError):
        cache.set("course:2000", KILOBYTE)
    assert cache.get("course:2000") is None
    assert cache.get("course:0") == KILOBYTE, "what is there can be read"
    assert cache.delete("course:0")


GROUPS = {
    "read again and again": ("popular", 300, 3600),
    "never read, 60 s left": ("short", 300, 60),
    "never read, no TTL": ("forever", 300, None),
    "written last": ("new", 1250, 3600),
}
POLICIES = ("noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl")


def fill(policy: str) -> dict[str, float]:
    """Return which share of four groups of entries is left when a server with two megabytes is full."""
    with running("valkey") as url, Redis.from_url(url, decode_responses=True) as server:
        limit(server, 2, policy)
        server.config_set("maxmemory-samples", 10)
        server.config_set("lfu-decay-time", 0)  # else what is old fades, in runs that see the minute change

        def put(name: str, count: int, seconds: int | None) -> None:
            with server.pipeline(transaction=False) as pipe:
                for number in range(count):
                    pipe.set(f"{name}:{number}", KILOBYTE, ex=seconds)
                pipe.execute(raise_on_error=False)

        *first, last = GROUPS.values()
        for group in first:
            put(*group)
        time.sleep(2.1)  # the clock of LRU counts seconds
        for _ in range(10):
            server.mget(f"popular:{number}" for number in range(300))
        put(*last)
        return {
            title: sum(value is not None for value in server.mget(f"{name}:{number}" for number in range(count)))
            / count
            for title, (name, count, _) in GROUPS.items()
        }


def test_what_goes_when_the_server_is_full(record: Recorder) -> None:
    try:
        with ThreadPoolExecutor(len(POLICIES)) as pool:
            left = dict(zip(POLICIES, pool.map(fill, POLICIES), strict=True))
    except Unavailable as reason:
        pytest.skip(str(reason))
    rows = [["`maxmemory-policy`", *GROUPS], ["---"] * 5]
    for policy, shares in left.items():
        less = "some refused" if policy == "noeviction" else "lost some"
        rows.append([f"`{policy}`", *("kept" if share > 0.93 else less for share in shares.values())])
    record("redis_memory_policies.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    popular, short, forever, new = left["allkeys-lru"].values()
    assert max(short, forever) < 0.8 < 0.93 < min(popular, new)
    popular, short, forever, new = left["volatile-ttl"].values()
    assert short < popular
    assert left["noeviction"]["read again and again"] == left["volatile-ttl"]["never read, no TTL"] == 1


def test_a_volatile_policy_refuses_when_nothing_ends(server: Redis) -> None:
    limit(server, 1, "volatile-ttl")
    values = {f"forever:{number}": KILOBYTE for number in range(500)}
    server.mset(values)
    with pytest.raises(OutOfMemoryError):
        any(server.set(f"more:{number}", KILOBYTE) is None for number in range(2000))


def test_what_the_server_says_of_itself(server: Redis, session: Callable[..., None]) -> None:
    session("redis_memory_info.pycon", cache=caches["default"], server=server)
    assert {"used_memory", "maxmemory", "mem_fragmentation_ratio"} <= server.info("memory").keys()
    assert server.info("stats")["evicted_keys"] == 0


# Many keys


def populate(server: Redis, count: int) -> None:
    """Make so many keys."""
    server.eval("for n = 1, tonumber(ARGV[1]) do redis.call('SET', 'course:' .. n, n) end", 0, count)
    server.config_set("slowlog-log-slower-than", 0)
    server.config_set("slowlog-max-len", 100_000)


def longest(server: Redis, work: Callable[[], object]) -> float:
    """Return for how long the server was busy with one command of some work at most, in milliseconds."""
    server.slowlog_reset()
    work()
    commands = server.slowlog_get(100_000)
    return max(
        float(entry["duration"]) / 1000
        for entry in commands
        if str(entry["command"]).lstrip("b'").startswith(("KEYS", "SCAN"))
    )


def exhaust(find: Callable[[Redis, str], Iterator[object]], server: Redis) -> None:
    """Take everything that is found."""
    list(find(server, "course:7777*"))


def measure_keys(sizes: tuple[int, ...]) -> Measurement:
    """Return it for both ways to find few keys among many."""
    lines: dict[str, list[tuple[float, float]]] = {"KEYS": [], "SCAN, 500 at a time": []}
    for size in sizes:
        with running("valkey") as url, Redis.from_url(url, socket_timeout=60) as server:
            populate(server, size)
            for name, find in zip(lines, (wrong_keys, keys), strict=True):
                runs = sorted(longest(server, partial(exhaust, find, server)) for _ in range(5))
                lines[name].append((size, runs[2]))
            release = server.info("server")["valkey_version"]
    return Measurement(
        title="Finding some keys among many",
        description="KEYS occupies the server longer the more keys there are; one SCAN takes the same at any size.",
        x="keys on the server",
        y="longest single command (ms)",
        versions={"redis-py": version("redis"), "Valkey": release},
        lines=lines,
        log_x=True,
        log_y=True,
    )


@pytest.mark.measures("redis_keys")
def test_the_time_that_keys_takes(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    recorded = measured("redis_keys.json", lambda: measure_keys((1000, 10_000, 100_000, 1_000_000)))
    at_once, in_parts = (dict(line) for line in recorded.lines.values())
    assert at_once[1_000_000] > 50 * at_once[10_000]
    assert at_once[1_000_000] > 100 * in_parts[1_000_000]
    assert in_parts[1_000_000] / in_parts[10_000] < at_once[1_000_000] / at_once[10_000] / 5


@pytest.mark.wrong("lab/caching/redis_memory.py:wrong_keys")
def test_keys_occupies_the_server(server: Redis) -> None:
    populate(server, 50_000)
    found: list[Any] = []
    at_once = longest(server, lambda: found.append(sorted(wrong_keys(server, "course:7777*"))))
    in_parts = min(longest(server, lambda: found.append(sorted(keys(server, "course:7777*")))) for _ in range(5))
    assert found == [["course:7777"]] * 6
    assert at_once > 3 * in_parts


# Who is there


def test_a_user_of_the_site(server: Redis, settings: Settings, session: Callable[..., None]) -> None:
    address = urlsplit(str(caches["default"]._servers[0]))  # type: ignore[attr-defined]
    own = address._replace(netloc=f"academy:correct-horse@{address.netloc}").geturl()
    session("redis_memory_acl.pycon", server=server)
    settings.CACHES = {"default": on_server(own)}
    session("redis_memory_user.pycon", cache=caches["default"], Redis=Redis, url=own)
    cache = caches["default"]
    cache.set_many({"a": 1, "b": 2})
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": 2}
    assert cache.incr("a") == 2
    assert cache.touch("a", 10)
    cache.delete_many(["a", "b"])
    with Redis.from_url(own) as client, pytest.raises(NoPermissionError):
        client.config_get("maxmemory")
