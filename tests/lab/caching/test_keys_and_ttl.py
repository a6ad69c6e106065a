"""What a key forgets, when entries end, and what it costs to remember that there is nothing."""

from __future__ import annotations

import datetime
import random
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache, caches
from django.core.cache.backends.base import InvalidCacheKey
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.utils.translation import override
from redis import Redis

from lab.academy.models import Course, Enrollment, Learner
from lab.caching.keys_and_ttl import (
    about,
    create_course,
    forget_course,
    in_course,
    key,
    known_slugs,
    seats_if_known,
    seats_of,
    titles,
    wrong_in_course,
    wrong_key,
    wrong_sliding,
    wrong_titles,
)
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    import time_machine
    from django.core.cache.backends.base import BaseCache
    from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

    from tests.lab.people import People
    from tests.recording.files import Recorder

DAY = datetime.date(2026, 1, 5)


@pytest.fixture
def clock(time_machine: time_machine.TimeMachineFixture) -> Callable[[float], None]:
    """Stop the clock; return what moves it."""
    time_machine.move_to(datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC), tick=False)
    return time_machine.shift


@pytest.fixture
def roomy(settings: Settings) -> None:
    """A cache in memory that does not cull at 300 entries."""
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "OPTIONS": {"MAX_ENTRIES": 10_000}}}


def entries() -> int:
    """Return how many entries the cache in memory has."""
    return len(caches["default"]._cache)  # type: ignore[attr-defined]


# Keys


@pytest.mark.wrong("lab/caching/keys_and_ttl.py:wrong_titles")
def test_a_key_that_forgets_the_user_is_a_leak(people: People, session: Callable[..., None]) -> None:
    Course.objects.filter(slug="queues").update(teacher=people.teacher)
    session("keys_and_ttl_leak.pycon", wrong_titles=wrong_titles, teacher=people.teacher, ama=people.ama)
    session("keys_and_ttl_right.pycon", titles=titles, teacher=people.teacher, ama=people.ama)
    assert "Queues" not in titles(AnonymousUser())
    with override("fr"), queries() as sent:
        titles(people.ama)
    assert len(sent.statements) == 1, "another language is another entry"


def test_one_key_for_one_question(session: Callable[..., None]) -> None:
    session("keys_and_ttl_key.pycon", key=key, wrong_key=wrong_key)
    for hostile in ("\r\nset x", " ", "é", "\0"):
        with warnings.catch_warnings(action="error"):
            cache.set(key("search", q=hostile), 1)
    assert key("search", page=1) != key("search", page="1")


def test_a_key_that_memcached_refuses(session: Callable[..., None]) -> None:
    session("keys_and_ttl_invalid.pycon", cache=cache, warnings=warnings)
    library: Any = SimpleNamespace(Client=None)  # no server is asked
    memcached = BaseMemcachedCache("", {}, library, KeyError)
    with pytest.raises(InvalidCacheKey):
        memcached.validate_key("two words")
    for name in ("x" * 251, "tab\t"):
        with pytest.warns(match="Cache key"):
            cache.set(name, 1)


def test_prefix_and_version(settings: Settings, session: Callable[..., None]) -> None:
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "KEY_PREFIX": "academy", "VERSION": 1}}
    session("keys_and_ttl_make.pycon", cache=cache)


@pytest.mark.wrong("lab/caching/keys_and_ttl.py:wrong_space")
def test_a_version_that_begins_at_one_again(session: Callable[..., None]) -> None:
    session("keys_and_ttl_space.pycon", cache=cache, wrong_in_course=wrong_in_course)
    cache.clear()
    session("keys_and_ttl_space_right.pycon", cache=cache, in_course=in_course, forget_course=forget_course)


# TTL


@pytest.mark.services
def test_the_ttl_that_an_entry_gets(valkey: BaseCache, settings: Settings, session: Callable[..., None]) -> None:
    server = Redis.from_url(caches["default"]._servers[0])  # type: ignore[attr-defined]

    def ttl(name: str) -> int | str:
        left = int(server.ttl(cache.make_key(name)))
        return {-2: "gone", -1: "for ever"}.get(left, left)

    session("keys_and_ttl_ttl.pycon", cache=cache, ttl=ttl)
    cache.set("seats", 30, timeout=3600)
    cache.incr_version("seats")
    assert ttl("seats") == "gone"
    assert int(server.ttl(cache.make_key("seats", version=2))) <= 60, "incr_version starts the default TTL"
    server.close()


def test_memory_keeps_fractions(clock: Callable[[float], None]) -> None:
    cache.set("seats", 30, timeout=0.9)
    assert cache.get("seats") == 30
    clock(0.9)
    assert cache.get("seats") is None


def worst_seconds(shift: Callable[[float], None], ttl: Callable[[], int], periods: int) -> list[int]:
    """Make 500 entries at once, read each every second, and return the most misses in one second of each 60."""
    cache.clear()
    names = [f"course:{number}" for number in range(500)]
    for name in names:
        cache.set(name, 1, ttl())
    worst = []
    for _ in range(periods):
        misses = []
        for _ in range(60):
            shift(1)
            missing = set(names) - set(cache.get_many(names))
            for name in sorted(missing):
                cache.set(name, 1, ttl())
            misses.append(len(missing))
        worst.append(max(misses))
    return worst


def test_jitter(roomy: None, clock: Callable[[float], None], record: Recorder) -> None:
    random.seed(2026)
    same = worst_seconds(clock, lambda: 60, 4)
    spread = worst_seconds(clock, lambda: about(60), 4)
    rows = [f"| {n}. | {a} | {b} |" for n, (a, b) in enumerate(zip(same, spread, strict=True), 1)]
    head = "| Minute | Misses in its worst second, TTL 60 | TTL `about(60)` |\n| --- | ---: | ---: |\n"
    record("keys_and_ttl_jitter.md", head + "\n".join(rows))
    assert same == [500] * 4
    assert max(spread) < 500 / 8
    assert all(45 <= about(60) <= 60 for _ in range(1000))


@pytest.mark.wrong("lab/caching/keys_and_ttl.py:wrong_sliding")
def test_what_is_read_often_never_ends(
    academy: None, clock: Callable[[float], None], session: Callable[..., None]
) -> None:
    learner = Learner.objects.get(name="Ama")
    course = Course.objects.exclude(learners=learner)[0]
    session(
        "keys_and_ttl_sliding.pycon",
        wrong_sliding=wrong_sliding,
        joined=Enrollment.objects.count,
        Enrollment=Enrollment,
        ama=learner,
        course=course,
        shift=clock,
    )


# That there is nothing


@pytest.mark.django_db
def test_a_row_that_appears(
    clock: Callable[[float], None],
    session: Callable[..., None],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    session("keys_and_ttl_appears.pycon", seats_of=seats_of, Course=Course, day=DAY, shift=clock)
    assert seats_of("go") is seats_if_known("go") is None
    with django_capture_on_commit_callbacks(execute=True):
        create_course(title="Go", slug="go", seats=20, starts_on=DAY, ends_on=DAY)
        assert seats_of("go") is seats_if_known("go") is None, "the transaction may still fail"
    assert seats_of("go") == seats_if_known("go") == 20


def uncached(slug: str) -> int | None:
    """Ask the database each time."""
    return Course.objects.filter(slug=slug).values_list("seats", flat=True).first()


def test_slugs_that_nobody_has(academy: None, roomy: None, record: Recorder) -> None:
    rows = []
    for name, ask in (("no cache", uncached), ("`seats_of`", seats_of), ("`seats_if_known`", seats_if_known)):
        for what, slugs in (("one slug", ["no-such"] * 200), ("random slugs", [f"x{n}" for n in range(200)])):
            cache.clear()
            with queries() as sent:
                assert [ask(slug) for slug in slugs] == [None] * 200
            rows.append((name, what, len(sent.statements), entries()))
    assert [row[2:] for row in rows] == [(200, 0), (200, 0), (1, 1), (200, 200), (1, 1), (1, 1)]
    head = "| 200 requests for what is not there | Asked for | Queries | Entries |\n| --- | --- | ---: | ---: |\n"
    record("keys_and_ttl_nothing.md", head + "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows))
    assert seats_if_known("python") == uncached("python")
    assert "python" in known_slugs()
