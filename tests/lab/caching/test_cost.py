"""What an answer costs, by where it comes from."""

from __future__ import annotations

import functools
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from statistics import mean, median
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.test import Client, RequestFactory

from lab.academy.models import Course
from lab.caching import cost
from lab.caching.cost import average_grade, cached_average_grade, cached_courses, course, courses, joined
from lab.database_design.million import LAST_DAY, empty, fill
from tests.lab.caching.series import series
from tests.lab.serving import GUNICORN, load, serve
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.core.cache.backends.base import BaseCache
    from django.http import HttpResponse
    from pytest_django import Settings

    from tests.recording.chart import Measurement
    from tests.recording.files import Recorder

    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

Point = tuple[float, float]

# Measuring


def timed(works: dict[str, Callable[[], object]], times: int, each: int = 1) -> dict[str, float]:
    """Return the median time of each piece of work in milliseconds; they take turns.

    Args:
        works: What to do.
        times: How often, after a warm-up.
        each: How often it is done between two looks at the clock.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for run in range(times + max(2, times // 10)):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(each):
                work()
            if run >= max(2, times // 10):
                taken[name].append(1000 * (time.perf_counter() - start) / each)
    return {name: float(f"{median(each):.3g}") for name, each in taken.items()}


@contextmanager
def filled(rows: int) -> Iterator[None]:
    """Continue with an academy of so many enrollments, which is committed."""
    fill(enrollments=rows, learners=rows // 5, courses=1000)
    try:
        yield
    finally:
        empty()


@contextmanager
def index_on_the_day() -> Iterator[None]:
    """Continue with an index that the academy does not have."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX joined_on ON academy_enrollment (enrolled_on)")
        cursor.execute("VACUUM ANALYZE academy_enrollment")
        try:
            yield
        finally:
            cursor.execute("DROP INDEX joined_on")


ROWS = ("average of all rows", "rows of a day, no index", "rows of a day, index", "either, kept in Valkey")
READS = ("a dict of the process", "LocMemCache", "Valkey", "a query by primary key")


def rows(times: int) -> dict[str, float]:
    """Return what questions about the enrollments cost."""
    everything, day, indexed, hit = ROWS
    cache.set("joined", joined(LAST_DAY))
    taken = timed({everything: average_grade, day: lambda: joined(LAST_DAY)}, times)
    with index_on_the_day():
        return taken | timed({indexed: lambda: joined(LAST_DAY), hit: lambda: cache.get("joined")}, times)


def reads(size: int, times: int) -> dict[str, float]:
    """Return what it costs to get so many courses from somewhere, as dicts of three values."""

    def ask() -> list[Any]:
        return list(Course.objects.filter(pk__lte=size).values("id", "title", "seats").order_by())

    answer = ask()
    assert len(answer) == size
    local, memory = LocMemCache("cost", {}), {"courses": answer}
    for one in (local, cache):
        one.set("courses", answer)
    return timed(
        dict(
            zip(
                READS,
                (
                    lambda: memory["courses"],
                    lambda: local.get("courses"),
                    lambda: cache.get("courses"),
                    ask,
                ),
                strict=True,
            )
        ),
        times,
        each=10,
    )


def page(view: Callable[..., HttpResponse]) -> HttpResponse:
    """Return the answer of a view to a visitor who has not signed in."""
    request = RequestFactory().get("/courses/")
    request.user = AnonymousUser()
    return view(request)


def hit_rates(rates: tuple[int, ...], times: int) -> dict[str, list[Point]]:
    """Return the average time of reads by hit rate: measured, and computed from all hits and all misses.

    The rates take turns, with one read each.
    """
    hits: list[float] = []
    misses: list[float] = []
    seen: dict[int, list[float]] = {rate: [] for rate in rates}
    cached_average_grade()
    for number in range(times):
        for rate in rates:
            miss = number * (100 - rate) // 100 != (number + 1) * (100 - rate) // 100
            if miss:
                cache.delete("grades:average")
            start = time.perf_counter()
            cached_average_grade()
            taken = 1000 * (time.perf_counter() - start)
            seen[rate].append(taken)
            (misses if miss else hits).append(taken)
    one_hit, one_miss = mean(hits), mean(misses)
    return {
        "measured": [(rate, round(mean(each), 3)) for rate, each in seen.items()],
        "computed": [(rate, round((rate * one_hit + (100 - rate) * one_miss) / 100, 3)) for rate in rates],
    }


PAGES = {
    "an average, asked for each time": "average",
    "the average, kept a minute": "cached-average",
    "twenty courses, made each time": "twenty-courses",
    "twenty courses, from cache_page": "cached-courses",
}


def throughput(seconds: int) -> dict[str, float]:
    """Return how many requests a second one process answers, for each page."""
    address = caches["default"]._servers[0]  # type: ignore[attr-defined]
    found: dict[str, float] = {}
    with serve(*GUNICORN, "--workers", "1", urls="lab.caching.cost", CACHE_URL=address) as site:
        for name, where in PAGES.items():
            load(f"{site}/{where}/", connections=4, seconds=1)
            seen = load(f"{site}/{where}/", connections=4, seconds=seconds)
            assert seen.failed == 0
            found[name] = round(seen.throughput)
    return found


@functools.cache
def run() -> dict[str, Any]:
    """Measure everything, side by side, and return the series by name."""
    by_rows: dict[str, list[Point]] = {name: [] for name in ROWS}
    by_size: dict[str, list[Point]] = {name: [] for name in READS}
    found: dict[str, Any] = {"rows": by_rows, "reads": by_size}
    for size in (1000, 10_000, 100_000, 1_000_000):
        with filled(size):
            for name, taken in rows(20).items():
                by_rows[name].append((size, taken))
            if size == 100_000:
                for count in (1, 10, 100, 1000):
                    for name, taken in reads(count, 30).items():
                        by_size[name].append((count, taken))
                found["hits"] = hit_rates((0, 20, 40, 60, 80, 90, 95, 99), 200)
                found["load"] = throughput(5)
    return found


def cost_reads() -> Measurement:
    """Return where an answer is kept, by its size."""
    return series(
        title="Getting courses from four places",
        description="A dict costs the same at any size; the caches and the database grow with the answer.",
        x="courses in the answer",
        y="time (ms)",
        lines=run()["reads"],
        log_x=True,
        log_y=True,
    )


def cost_rows() -> Measurement:
    """Return what questions cost, by the size of the table."""
    return series(
        title="Questions to a table that grows",
        description="Where every row is read the time grows with the rows; with an index or a cache it does not.",
        x="rows in the table",
        y="time (ms)",
        lines=run()["rows"],
        log_x=True,
        log_y=True,
    )


def cost_hits() -> Measurement:
    """Return the average time of a read by hit rate."""
    return series(
        title="The average time of a read, by hit rate",
        description="It falls in a straight line; nine hits of ten leave a tenth of the queries.",
        x="hits (%)",
        y="average time (ms)",
        lines=run()["hits"],
    )


def cost_load() -> Measurement:
    """Return requests a second."""
    return series(
        title="Requests a second, one process",
        description="A kept answer pays most where the answer was expensive.",
        x="page",
        y="requests a second",
        bars=run()["load"],
    )


# The measured


@pytest.mark.measures("cost")
@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_what_an_answer_costs(valkey: BaseCache, measured: Measured, record: Recorder) -> None:
    by_size = {name: dict(line) for name, line in measured("cost_reads.json", cost_reads).lines.items()}
    by_rows = {name: dict(line) for name, line in measured("cost_rows.json", cost_rows).lines.items()}
    hits = measured("cost_hits.json", cost_hits).lines
    asked, kept_average, made, kept_page = measured("cost_load.json", cost_load).bars.values()
    memory, local, shared, query = by_size.values()
    everything, day, indexed, kept = by_rows.values()

    ladder = {
        "a dict of the process": memory[1],
        "`LocMemCache`, memory of the process": local[1],
        "Valkey, on the same machine": shared[1],
        "a query by primary key": query[1],
        "a request for twenty courses, from `cache_page`": float(f"{1000 / kept_page:.3g}"),
        "a request for twenty courses, made": float(f"{1000 / made:.3g}"),
        "an average over 100,000 rows": everything[100_000],
        "an average over a million rows": everything[1_000_000],
    }
    lines = [["Where the answer comes from", "ms", "times a Valkey hit"], ["---", "---:", "---:"]]
    for name, taken in ladder.items():
        times = taken / shared[1]
        lines.append([name, f"{taken:,}", f"{times:,.0f}" if times >= 1 else f"{times:.1g}"])
    record("cost_ladder.md", "\n".join(f"| {' | '.join(line)} |" for line in lines))

    # What the page says of them:
    assert 20 * memory[1] < local[1]
    assert 3 * local[1] < shared[1] < query[1] < 10 * shared[1]
    assert shared[1000] > 1.5 * shared[1]
    assert memory[1000] < 3 * memory[1]
    assert kept_average > 3 * asked
    assert kept_average / asked > kept_page / made > 1
    assert everything[1_000_000] > 100 * shared[1]
    assert everything[1_000_000] > 30 * everything[1000]
    assert day[1_000_000] > 10 * indexed[1_000_000]
    assert kept[1_000_000] < indexed[1_000_000] < 20 * kept[1_000_000]
    for (_, seen), (_, computed) in zip(*hits.values(), strict=True):
        assert seen == pytest.approx(computed, rel=0.35, abs=0.1)


# The same experiment, small


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_the_order_of_what_answers_cost(valkey: BaseCache) -> None:
    with filled(50_000):
        found = reads(10, 3)
        assert found[READS[0]] < found[READS[1]] < found[READS[3]]
        page(cached_courses)
        with queries() as sent:
            page(cached_courses)
        assert sent.statements == []
        with queries() as sent:
            page(courses)
        assert len(sent.statements) == 1
        with queries() as sent:
            hit_rates((0, 95), 20)
        assert len(sent.statements) == 1 + 20 + 1, "the first read, and the misses of both"
        assert set(rows(2)) == set(ROWS)
        assert course("python-1")["title"] == "Python 1"


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_an_index_changes_the_plan(valkey: BaseCache) -> None:
    def nodes() -> str:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN SELECT count(*) FROM academy_enrollment WHERE enrolled_on = %s", [LAST_DAY])
            return str(cursor.fetchall())

    with filled(10_000):
        assert "Seq Scan" in nodes()
        with index_on_the_day():
            assert "joined_on" in nodes()
        with connection.cursor() as cursor:
            cursor.execute("CREATE INDEX grades ON academy_enrollment (grade)")
            cursor.execute("EXPLAIN SELECT avg(grade) FROM academy_enrollment")
            plan = str(cursor.fetchall())
            cursor.execute("DROP INDEX grades")
        assert "Scan" in plan
        assert "Cond" not in plan, "all rows are read, whichever way"


# What the difference buys


@pytest.mark.django_db
def test_a_thousand_requests_and_one_query(academy: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = "lab.caching.cost"

    def sent(where: str, times: int) -> int:
        with queries() as seen:
            for _ in range(times):
                assert Client().get(where).status_code == 200
        return len(seen.statements)

    assert sent("/average/", 100) == 100
    assert sent("/cached-average/", 100) == 1
    assert sent("/cached-average/", 100) == 0


def simulate(every: float, ttl: int, hours: int = 1) -> tuple[int, int]:
    """Return how many reads there are in some hours, one every so many seconds, and how many of them miss."""
    reads = misses = 0
    start = datetime(2026, 11, 23, 9, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock, closing(LocMemCache("simulated", {})) as one:
        one.clear()
        while datetime.now(UTC) < start + timedelta(hours=hours):
            reads += 1
            if one.get("key") is None:
                misses += 1
                one.set("key", "answer", timeout=ttl)
            clock.shift(every)
    return reads, misses


def test_the_hit_rate_comes_from_how_often_a_key_is_asked_for(record: Recorder) -> None:
    lines = [["A key is asked for", "Reads in an hour", "Queries", "Hits"], ["---", "---:", "---:", "---:"]]
    found = {}
    for title, every in (
        ("every second", 1),
        ("every ten seconds", 10),
        ("every thirty seconds", 30),
        ("every minute", 60),
        ("every ten minutes", 600),
    ):
        reads, misses = simulate(every, ttl=60)
        found[every] = (reads, misses)
        lines.append([title, f"{reads:,}", str(misses), f"{100 * (reads - misses) / reads:.0f} %"])
    record("cost_ttl.md", "\n".join(f"| {' | '.join(line)} |" for line in lines))
    assert found == {1: (3600, 60), 10: (360, 60), 30: (120, 60), 60: (60, 60), 600: (6, 6)}


@pytest.mark.django_db
def test_the_second_truth(academy: None, session: Callable[..., None]) -> None:
    session("cost_truth.pycon", Course=Course, cost=cost, cache=cache)
    assert "course:python" in cache
