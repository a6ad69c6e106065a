"""Sixteen requests want a ranking that is not in the cache any more."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache, caches
from django.db import connection, transaction

from lab.challenges.cache_stampede import load
from lab.challenges.cache_stampede.broken import ranking as broken
from lab.challenges.cache_stampede.fixed import ranking as fixed
from tests.lab.challenges.conftest import Version
from tests.lab.database_design.two import LIMIT, people
from tests.lab.workers import within
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.cache.backends.base import BaseCache

    from tests.recording.files import Recorder

REQUESTS = 16
BROKEN, FIXED = Version(Path(broken.__file__).parent), Version(Path(fixed.__file__).parent)
TOGETHER = pytest.mark.django_db(transaction=True)
POSTGRESQL = pytest.mark.databases("postgresql")


def valkey_client() -> Any:
    """Return a client of the server behind the cache."""
    return caches["default"]._cache.get_client()  # type: ignore[attr-defined]


def commands() -> int:
    """Return how many commands Valkey has carried out so far, without the questions of this function."""
    stats = valkey_client().info("commandstats")
    return sum(row["calls"] for name, row in stats.items() if name not in {"cmdstat_info", "cmdstat_client|setinfo"})


def forget() -> None:
    """Let every entry of this test's cache end."""
    client = valkey_client()
    if keys := list(client.scan_iter(f"{caches['default'].key_prefix}:*")):
        client.delete(*keys)


def rush(*rankings: Callable[..., list[str]], patience: float) -> tuple[int, list[list[str]]]:
    """Let sixteen requests ask at once, in turns by these functions; return how many computed, and the answers.

    The first computation lasts until the cache has been asked as often as there are requests, as a slow one would,
    or until the patience ends.
    """
    start, counting = threading.Barrier(REQUESTS), threading.Lock()
    computed = before = 0

    def compute() -> list[str]:
        nonlocal computed
        with counting:
            computed += 1
        within(patience, lambda: commands() - before >= REQUESTS)
        return load.compute()

    def ask(number: int) -> list[str]:
        nonlocal before
        try:
            connection.ensure_connection()
            cache.has_key("connected")
            if start.wait(LIMIT) == 0:
                before = commands()
            start.wait(LIMIT)
            return rankings[number % len(rankings)](compute)
        finally:
            connection.close()
            caches["default"].close()

    with ThreadPoolExecutor(REQUESTS) as pool:
        answers = list(pool.map(ask, range(REQUESTS)))
    return computed, answers


def computations(version: Version, name: str = "ranking", patience: float = 5) -> list[int]:
    """Return how often the ranking is computed: when the cache is empty, when it is full, when the entry has ended."""
    forget()
    processes = [copy.ranking for copy in version.copies(name)]
    right, counts = load.compute(), []
    for ends in (False, False, True):
        if ends:
            forget()
        computed, answers = rush(*processes, patience=patience)
        assert answers == [right] * REQUESTS, "everybody gets the ranking"
        counts.append(computed)
    return counts


@POSTGRESQL
@TOGETHER
@pytest.mark.broken("cache_stampede.txt")
@pytest.mark.wrong("lab/challenges/cache_stampede/broken/ranking.py:wrong_ranking")
def test_one_request_computes(version: Version, academy: None, valkey: BaseCache) -> None:
    empty, full, ended = computations(version)
    assert full == 0, "the ranking is kept"
    assert empty == 1, f"{REQUESTS} requests want a ranking that is not there, and one has to compute it"
    assert ended == 1, f"the entry ended, {REQUESTS} requests want it, and one has to compute it"


@POSTGRESQL
@TOGETHER
def test_old_values_help_as_well(academy: None, valkey: BaseCache) -> None:
    assert computations(FIXED, "ranking_stale") == [1, 0, 1]


@POSTGRESQL
@TOGETHER
@pytest.mark.wrong("lab/challenges/cache_stampede/broken/ranking.py:wrong_ranking")
def test_a_lock_of_the_process_is_not_enough(academy: None, valkey: BaseCache, tmp_path: Path) -> None:
    text = Path(broken.__file__).read_text(encoding="utf-8")
    text = text.replace("def ranking(", "def unlocked(").replace("from typing", "import threading\nfrom typing", 1)
    text += "\n\nLOCK = threading.Lock()\n\n\ndef ranking(compute):\n    with LOCK:\n        return unlocked(compute)\n"
    (tmp_path / "ranking.py").write_text(text, encoding="utf-8")
    assert computations(Version(tmp_path), patience=0.5) == [2, 0, 2]


@POSTGRESQL
@TOGETHER
def test_the_load_of_the_database(academy: None, valkey: BaseCache, record: Recorder) -> None:
    rows = ["| Sixteen requests come | Queries, broken | Queries, mended |", "| --- | ---: | ---: |"]
    counts = [computations(version) for version in (BROKEN, FIXED)]
    moments = ("after a restart: the cache is empty", "while the entry is there", "in the moment in which it ends")
    rows += [f"| {moment} | {wrong} | {right} |" for moment, wrong, right in zip(moments, *counts, strict=True)]
    record("cache_stampede_load.md", "\n".join(rows))
    assert counts == [[REQUESTS, 0, REQUESTS], [1, 0, 1]]


@POSTGRESQL
@TOGETHER
def test_what_the_servers_see(academy: None, valkey: BaseCache, record: Recorder) -> None:
    before = valkey_client().info("stats")["keyspace_misses"]

    def ask(_: int) -> list[str]:
        try:
            return broken.ranking(load.compute)
        finally:
            connection.close()
            caches["default"].close()

    with ThreadPoolExecutor(REQUESTS) as pool, people("Esi") as (operator,):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE academy_enrollment IN ACCESS EXCLUSIVE MODE")  # the queries last
            assert load.activity() == []
            asking = [pool.submit(ask, number) for number in range(REQUESTS)]
            assert within(LIMIT, lambda: sum(row[0] for row in operator.do(load.activity)) == REQUESTS)
            seen = operator.do(load.activity)
            assert load.activity() == [], "in this transaction the server repeats what it said first"
            missed = valkey_client().info("stats")["keyspace_misses"] - before
        assert all(one.result(LIMIT) for one in asking)
    assert missed == REQUESTS
    lines = [" | ".join(str(value) for value in row) for row in seen]
    record("cache_stampede_activity.txt", "\n".join(["count | state | wait_event_type | query", *lines]))
    assert len(seen) == 1


@POSTGRESQL
@pytest.mark.django_db
def test_the_computation_is_one_query(academy: None) -> None:
    with queries() as sent:
        names = load.compute()
    assert len(names) == 3
    assert len(sent.statements) == 1


@TOGETHER
def test_a_computation_that_fails_lets_the_next_one_try(valkey: BaseCache) -> None:
    def fails() -> list[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fixed.ranking(fails)
    assert fixed.ranking(lambda: ["Ama"]) == ["Ama"]
    assert fixed.ranking(fails) == ["Ama"]


@TOGETHER
def test_the_lock_of_a_killed_process_ends(valkey: BaseCache) -> None:
    cache.add("ranking:lock", "of a process that was killed", timeout=1)
    assert fixed.ranking(lambda: ["Ama"]) == ["Ama"]
    assert cache.get("ranking:lock") is None
