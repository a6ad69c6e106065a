"""How many queries a missing entry costs when many ask for it, and how long they wait."""

from __future__ import annotations

import functools
import math
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core.cache import cache, caches
from django.core.cache.backends.redis import RedisCache
from django.db import connection
from django.test import Client

from lab.caching import stampede
from lab.caching.cost import average_grade
from lab.caching.stampede import WAYS, early, locked, plain, stale, warm
from lab.database_design.million import empty, fill
from tests.lab.caching.series import series
from tests.lab.serving import GUNICORN, load, serve
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.core.cache.backends.base import BaseCache
    from pytest_django import Settings

    from tests.recording.chart import Measurement
    from tests.recording.files import Recorder

    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

TOGETHER = pytest.mark.django_db(transaction=True)
POSTGRESQL = pytest.mark.databases("postgresql")
MOST = 30  # connections to the database, as a pool would allow


class Crowd:
    """Readers who ask at the same moment, each in a thread of its own.

    No query begins before each of them has looked into the cache once, as if the first took that long.
    """

    def __init__(self, readers: int) -> None:
        self.readers = readers
        self.start = threading.Barrier(readers)
        self.connections = threading.BoundedSemaphore(MOST)
        self.lock, self.all_looked = threading.Lock(), threading.Event()
        self.looked: set[int] = set()
        self.asked = 0

    def load(self) -> float | None:
        """Ask the database."""
        with self.lock:
            self.asked += 1
        assert self.all_looked.wait(60)
        with self.connections:
            try:
                return average_grade()
            finally:
                connection.close()

    def ask(self, way: Callable[..., Any], key: str) -> list[Any]:
        """Let all ask once; return what they got."""
        real = RedisCache.get

        def look(one: RedisCache, *arguments: Any, **options: Any) -> Any:
            found = real(one, *arguments, **options)
            with self.lock:
                self.looked.add(threading.get_ident())
                if len(self.looked) == self.readers:
                    self.all_looked.set()
            return found

        def one(_: int) -> Any:
            try:
                caches["default"].has_key("connect")
                self.start.wait(60)
                return way(key, self.load, 60)
            finally:
                caches["default"].close()

        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(self.readers) as pool:
            patch.setattr(RedisCache, "get", look)
            patch.setattr(stampede, "HELD", 90)  # many threads of one interpreter are slow to look
            patch.setattr(stampede, "PATIENCE", 90)
            return list(pool.map(one, range(self.readers)))


@contextmanager
def filled(rows: int) -> Iterator[None]:
    """Continue with so many enrollments."""
    fill(enrollments=rows, learners=rows // 5, courses=1000)
    try:
        yield
    finally:
        empty()


# A cold key


@TOGETHER
@POSTGRESQL
def test_everybody_who_misses_asks(academy: None, valkey: BaseCache) -> None:
    crowd = Crowd(20)
    answers = crowd.ask(plain, "grades")
    assert crowd.asked == 20
    assert len(set(answers)) == 1
    crowd = Crowd(20)
    assert crowd.ask(early, "early") == answers
    assert crowd.asked == 20, "an entry that is not there has no time before its end"


@TOGETHER
@POSTGRESQL
@pytest.mark.parametrize("way", [locked, stale])
def test_one_asks_and_the_others_wait(academy: None, valkey: BaseCache, way: Callable[..., Any]) -> None:
    crowd = Crowd(20)
    assert crowd.ask(way, "grades") == [average_grade()] * 20
    assert crowd.asked == 1
    assert "grades:lock" not in cache


# The lock


def test_the_holder_looks_once_more() -> None:
    def late_add(*_: object, **__: object) -> bool:
        cache.set("grades", "of somebody who was faster", 60)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(caches["default"]), "add", late_add)
        assert locked("grades", lambda: pytest.fail("nobody has to ask"), 60) == "of somebody who was faster"


def test_a_holder_that_died_is_waited_for_until_its_time_is_over() -> None:
    cache.add("grades:lock", "of a process that was killed", timeout=0.3)
    start = time.monotonic()
    assert locked("grades", lambda: 70, 60) == 70
    assert 0.25 < time.monotonic() - start < stampede.PATIENCE
    assert "grades" in cache, "it took the lock, and did not lose its patience"
    assert stampede.HELD < stampede.PATIENCE


def test_who_has_no_more_patience_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stampede, "PATIENCE", 0.1)
    cache.add("grades:lock", "of somebody who is slow", timeout=60)
    assert locked("grades", lambda: 70, 60) == 70
    assert "grades" not in cache
    assert cache.get("grades:lock") == "of somebody who is slow"


def test_a_holder_that_is_slower_than_its_lock_does_not_release_another_ones() -> None:
    def slow() -> int:
        cache.set("grades:lock", "of the next one", 60)  # the lock had ended, and was taken
        return 70

    assert locked("grades", slow, 60) == 70
    assert cache.get("grades:lock") == "of the next one"


def test_an_error_gives_the_lock_back() -> None:
    with pytest.raises(ZeroDivisionError):
        locked("grades", lambda: 1 / 0, 60)
    assert "grades:lock" not in cache


# Early


def share(before: float, beta: float = 1) -> float:
    """Return which share of readers loads anew, so many times the cost before the end."""
    loaded = 0
    with time_machine.travel("2026-11-23T09:00Z", tick=False), pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "random", random.Random(2026).random)  # noqa: S311
        now = time.time()
        for _ in range(5_000):
            cache.set("grades", (70, 0.1, now + 0.1 * before), 60)

            def load_it() -> int:
                nonlocal loaded
                loaded += 1
                return 70

            early("grades", load_it, 60, beta)
    return loaded / 5_000


def test_who_is_early(record: Recorder) -> None:
    rows = [["Time left, in times of the cost", "Readers who load"], ["---:", "---:"]]
    for before in (5, 3, 2, 1, 0.5, 0):
        found = share(before)
        assert found == pytest.approx(math.exp(-before), abs=0.02)
        rows.append([f"{before:g}", f"{100 * found:.0f} %" if found >= 0.01 else f"{100 * found:.1f} %"])
    record("stampede_early.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    assert share(3, beta=3) == pytest.approx(math.exp(-1), abs=0.02)


def test_an_early_reader_renews_it() -> None:
    with time_machine.travel("2026-11-23T09:00Z", tick=False) as clock:
        assert early("grades", lambda: 70, 60) == 70
        assert early("grades", lambda: 80, 60) == 70
        clock.shift(59.999)
        cache.set("grades", (70, 10, time.time() + 0.001), 60)
        assert early("grades", lambda: 80, 60, beta=1000) == 80


# Old values


def test_an_old_value_is_served_while_one_renews() -> None:
    with time_machine.travel("2026-11-23T09:00Z", tick=False) as clock:
        assert stale("grades", lambda: 70, 60) == 70
        clock.shift(61)
        seen: list[int] = []

        def renew() -> int:
            seen.append(stale("grades", lambda: pytest.fail("one renews"), 60))
            return 80

        with pytest.raises(ZeroDivisionError):
            stale("grades", lambda: 1 / 0, 60)
        assert stale("grades", renew, 60) == 80, "a failure holds nobody up"
        assert seen == [70]
        assert stale("grades", lambda: pytest.fail("it is fresh"), 60) == 80
        clock.shift(3661)
        assert stale("grades", lambda: 90, 60) == 90, "longer than the grace nobody gets an old value"


@pytest.mark.django_db
def test_who_is_warm_never_misses(academy: None) -> None:
    with time_machine.travel("2026-11-23T09:00Z", tick=False) as clock:
        for _ in range(30):
            warm()
            with queries() as sent:
                for _ in range(6):
                    assert cache.get_or_set("grades:average", average_grade, 300) is not None
                    clock.shift(10)
            assert sent.statements == []


# Measured


def crowd_of(readers: int, way: str) -> int:
    """Return how many of so many readers asked the database for a key that was not there."""
    cache.clear()
    crowd = Crowd(readers)
    crowd.ask(WAYS[way], f"grades:{way}")
    return crowd.asked


def under_load(seconds: int, connections: int) -> dict[str, tuple[float, float, float]]:
    """Return for each way the queries a second, and the median and the 99th percentile of the answers' time."""
    address = caches["default"]._servers[0]  # type: ignore[attr-defined]
    found = {}
    with serve(
        *GUNICORN, "--workers", "1", "--threads", str(connections), urls="lab.caching.stampede", CACHE_URL=address
    ) as site:
        served = RedisCache(address, {})  # with the served site's keys
        for way in WAYS:
            served.set("asked", 0, None)
            load(f"{site}/{way}/", connections=connections, seconds=1)
            before = served.get("asked")
            seen = load(f"{site}/{way}/", connections=connections, seconds=seconds)
            assert seen.failed == 0
            found[way] = (
                float(f"{(served.get('asked') - before) / seconds:.3g}"),
                round(seen.median, 1),
                round(seen.p99, 1),
            )
    return found


@functools.cache
def run() -> tuple[dict[str, list[tuple[float, float]]], dict[str, tuple[float, float, float]]]:
    """Measure both, on an average that takes some time."""
    with filled(300_000):
        burst: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for readers in (10, 100, 1000):
            for way in WAYS:
                burst[way].append((readers, crowd_of(readers, way)))
        return burst, under_load(10, 16)


def burst() -> Measurement:
    """Return the queries for a key that is not there."""
    return series(
        title="Queries for one missing entry",
        description="Without a lock the queries grow with the readers; with one there is a single query.",
        x="readers who ask at once",
        y="queries",
        lines=run()[0],
        log_x=True,
        log_y=True,
    )


def asked() -> Measurement:
    """Return the queries a second under load."""
    return series(
        title="Queries a second for one entry that lives a second",
        description="Every thread asks with get_or_set, one with a lock or with old values.",
        x="way",
        y="queries a second",
        bars={way: found[0] for way, found in run()[1].items()},
    )


def waited() -> Measurement:
    """Return how long visitors wait."""
    return series(
        title="The wait for an answer while an entry ends each second",
        description="The median is the same; the slowest hundredth waits for the stampede or for a lock.",
        x="way",
        y="time (ms)",
        bars={
            f"{way}, {name}": found[place]
            for way, found in run()[1].items()
            for place, name in ((1, "median"), (2, "99th percentile"))
        },
    )


@pytest.mark.measures("stampede")
@TOGETHER
@POSTGRESQL
def test_a_thousand_readers(valkey: BaseCache, measured: Measured) -> None:
    at_once = {way: dict(line) for way, line in measured("stampede_burst.json", burst).lines.items()}
    each_second = measured("stampede_asked.json", asked).bars
    wait = measured("stampede_waited.json", waited).bars
    assert set(at_once["lock"].values()) == set(at_once["stale"].values()) == {1}
    assert at_once["get_or_set"] == at_once["early"] == {10: 10, 100: 100, 1000: 1000}
    assert each_second["get_or_set"] > 5 * each_second["lock"]
    medians = [time for name, time in wait.items() if name.endswith("median")]
    assert max(medians) < 1.5 * min(medians)
    assert wait["get_or_set, 99th percentile"] > 1.5 * wait["lock, 99th percentile"]
    assert wait["get_or_set, 99th percentile"] > 1.5 * wait["stale, 99th percentile"]
    # The same, small:
    with filled(20_000):
        assert crowd_of(20, "lock") == 1
        assert crowd_of(20, "get_or_set") == 20


@pytest.mark.django_db
def test_the_pages_that_were_served(academy: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = "lab.caching.stampede"
    cache.set("asked", 0, None)
    for _ in range(3):
        for way in WAYS:
            assert Client().get(f"/{way}/").json() == {"average": average_grade()}
    assert len(WAYS) <= cache.get("asked") <= 2 * len(WAYS)
