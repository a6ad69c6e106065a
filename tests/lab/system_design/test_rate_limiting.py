"""Limits at the boundary of two minutes, under two requests at once, and behind two processes."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from django.test import RequestFactory
from redis import Redis

from lab.system_design import rate_limiting_samples
from lab.system_design.load_balancing import balancing
from lab.system_design.rate_limiting import SLIDING_LOG, fixed_window, sliding_log, token_bucket, wrong_window
from scripts import services
from scripts.services import Unavailable
from tests.lab.serving import GUNICORN, serve
from tests.lab.system_design.behind import SERVED, Visitor, together
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.core.cache.backends.base import BaseCache

    from tests.recording.files import Recorder

LIMIT, PERIOD = 10, 60


@pytest.fixture
def store() -> Iterator[Redis]:
    """A client of Valkey."""
    try:
        url = services.url("valkey")
    except Unavailable as reason:
        pytest.skip(str(reason))
    with Redis.from_url(url, protocol=2) as client:
        yield client


def client() -> str:
    """Return a name that nobody has counted yet."""
    return secrets.token_hex(8)


def limits(store: Redis) -> dict[str, Callable[[float], bool]]:
    """Return ten a minute, in three ways, each for a client of its own."""
    numbers = count()
    log = client()
    return {
        "fixed window": partial(fixed_window, store, client(), LIMIT, PERIOD),
        "sliding log": lambda now: sliding_log(store, log, LIMIT, PERIOD, now, str(next(numbers))),
        "token bucket": partial(token_bucket, store, client(), LIMIT, LIMIT / PERIOD),
    }


def most(allowed: list[float]) -> int:
    """Return how many were let through in the worst sixty seconds."""
    return max(sum(start <= now < start + PERIOD for now in allowed) for start in allowed)


@pytest.mark.services
def test_the_burst_at_the_boundary(store: Redis, record: Recorder) -> None:
    burst = [59.0] * LIMIT + [60.0] * LIMIT
    patient = [59.0] * LIMIT + [60.0 + n for n in range(59)]
    lines = [
        "| Ten a minute | Ten at 0:59, ten at 1:00: let through | Ten at 0:59, then one a second: most in any minute |",
        "| --- | ---: | ---: |",
    ]
    seen = {}
    for title in limits(store):
        allow = limits(store)[title]
        passed = sum(allow(now) for now in burst)
        allow = limits(store)[title]
        seen[title] = passed, most([now for now in patient if allow(now)])
        lines.append(f"| {title} | {seen[title][0]} | {seen[title][1]} |")
    assert seen == {"fixed window": (20, 20), "sliding log": (10, 10), "token bucket": (10, 19)}
    record("rate_limiting_boundary.md", "\n".join(lines))


@pytest.mark.services
def test_the_limits_let_again_later(store: Redis) -> None:
    for title, allow in limits(store).items():
        assert [allow(30.0) for _ in range(LIMIT + 1)] == [True] * LIMIT + [False], title
        hours_later = [allow(30.0 + 100 * PERIOD) for _ in range(LIMIT + 1)]
        assert hours_later == [True] * LIMIT + [False], f"{title}: nobody saves up more than the limit"


@pytest.mark.services
def test_keys_expire(store: Redis) -> None:
    before = set(store.keys("limit:*"))
    for allow in limits(store).values():
        allow(0.0)
    keys = set(store.keys("limit:*")) - before
    assert len(keys) == 3
    for key in keys:
        assert 0 < store.ttl(key) <= 2 * PERIOD


@pytest.mark.services
def test_a_clock_that_is_late_fills_no_bucket(store: Redis) -> None:
    """Two machines, whose clocks differ by six seconds, ask in turn: a token drops in once, not at each turn."""
    who = client()
    asked = [token_bucket(store, who, LIMIT, LIMIT / PERIOD, now) for now in [30.0, 36.0] * LIMIT]
    assert asked.count(True) == LIMIT + 1


@pytest.mark.services
def test_a_log_counts_a_name_once(store: Redis) -> None:
    who = client()
    assert all(sliding_log(store, who, LIMIT, PERIOD, 0.0, "the same") for _ in range(2 * LIMIT))


@pytest.mark.services
def test_redis_py_sends_the_hash_of_a_registered_script(store: Redis) -> None:
    script, who = store.register_script(SLIDING_LOG), f"limit:{client()}"
    before = store.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    assert [script([who], [0.0, PERIOD, 1, number]) for number in range(2)] == [1, 0]
    assert store.info("commandstats")["cmdstat_evalsha"]["calls"] >= before + 2


class Slow:
    """A client whose reads wait for each other: both have read before one writes."""

    def __init__(self, store: Redis) -> None:
        self.store, self.meeting = store, threading.Barrier(2)

    def get(self, key: str) -> Any:
        """Read, and wait for the other."""
        value = self.store.get(key)
        self.meeting.wait(10)
        return value

    def set(self, *args: Any, **options: Any) -> None:
        """Write."""
        self.store.set(*args, **options)


@pytest.mark.services
@pytest.mark.wrong("lab/system_design/rate_limiting.py:wrong_window")
def test_two_at_once_pass_a_limit_of_one(store: Redis) -> None:
    who, slow = client(), Slow(store)
    with ThreadPoolExecutor(2) as pool:
        outcome = list(pool.map(lambda _: wrong_window(slow, who, 1, PERIOD, 0.0), range(2)))  # type: ignore[arg-type]
    assert outcome == [True, True], "both read 0"
    assert not wrong_window(store, who, 1, PERIOD, 0.0)
    for allow in limits(store).values():
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(allow, [0.0] * 40)) == LIMIT


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_two_processes_count_twice(academy: None, valkey: BaseCache, record: Recorder) -> None:
    shared = f"{services.url('valkey')}?key_prefix={valkey.key_prefix}"
    lines = ["| Twelve requests, a limit of five, two processes | 200 | 429 |", "| --- | ---: | ---: |"]
    counts = []
    for title, url in {"counted in each process": "locmemcache://", "counted on Valkey": shared}.items():
        options = {**SERVED, "CACHE_URL": url}
        servers = [serve(*GUNICORN, urls="lab.system_design.rate_limiting_samples", **options) for _ in range(2)]
        with together(*servers) as names, balancing(*names) as balancer:
            seen = [Visitor(balancer.url).ask("/limited/").status for _ in range(12)]
        counts.append((seen.count(200), seen.count(429)))
        lines.append(f"| {title} | {counts[-1][0]} | {counts[-1][1]} |")
    assert counts == [(10, 2), (5, 7)]
    record("rate_limiting_processes.md", "\n".join(lines))
    ask = [rate_limiting_samples.limited(RequestFactory().get("/")).status_code for _ in range(6)]
    assert ask == [200] * 5 + [429]


def memory(store: Redis) -> dict[str, int]:
    """Return how many bytes a client takes that has asked a thousand times within a minute."""
    numbers = count()
    ways: dict[str, Callable[[str], bool]] = {
        "fixed window": lambda who: fixed_window(store, who, 1000, PERIOD, 0.0),
        "sliding log": lambda who: sliding_log(store, who, 1000, PERIOD, 0.0, str(next(numbers))),
        "token bucket": lambda who: token_bucket(store, who, 1000, 1000 / PERIOD, 0.0),
    }
    taken: dict[str, int] = {}
    for title, ask in ways.items():
        who = client()
        assert all(ask(who) for _ in range(1000))
        (key,) = store.keys(f"limit:{who}*")
        taken[title] = store.memory_usage(key, samples=0) or 0
    return taken


@pytest.mark.services
@pytest.mark.measures("rate_limiting")
def test_the_log_remembers_every_request(
    store: Redis, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    def measure() -> Measurement:
        return Measurement(
            title="A client that has asked a thousand times",
            description="The log takes hundreds of times the memory of a window or a bucket.",
            x="way",
            y="memory on Valkey (bytes)",
            versions={"Valkey": str(store.info("server")["valkey_version"]), "redis-py": version("redis")},
            bars={**memory(store)},
        )

    for bars in (measured("rate_limiting.json", measure).bars, memory(store)):
        assert bars["sliding log"] > 100 * bars["token bucket"]
        assert bars["sliding log"] > 100 * bars["fixed window"]
