"""What goes wrong when it is cached: each shown once, and each mended."""

from __future__ import annotations

import datetime
import random
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache, caches
from django.test import Client
from redis import Redis

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.caching.never import link, partners, user_of, wrong_enroll, wrong_link, wrong_may_read, wrong_partners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import time_machine
    from django.core.cache.backends.base import BaseCache
    from pytest_django import Settings

    from tests.recording.files import Recorder

DAY = datetime.date(2026, 1, 5)


@pytest.fixture
def clock(time_machine: time_machine.TimeMachineFixture) -> Callable[[float], None]:
    """Stop the clock; return what moves it."""
    time_machine.move_to(datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC), tick=False)
    return time_machine.shift


@pytest.fixture
def ama(academy: None) -> Learner:
    """Return the first learner."""
    return Learner.objects.get(name="Ama")


@pytest.fixture
def kofi(academy: None) -> Learner:
    """Return the second learner."""
    return Learner.objects.get(name="Kofi")


@pytest.fixture
def rust(academy: None) -> Course:
    """Return a course with one seat."""
    return Course.objects.create(title="Rust", slug="rust", seats=1, published=True, starts_on=DAY, ends_on=DAY)


@pytest.mark.wrong("lab/caching/never.py:wrong_may_read")
def test_a_permission_outlives_its_withdrawal(ama: Learner, session: Callable[..., None]) -> None:
    python = Course.objects.get(slug="python")
    Enrollment.objects.get_or_create(learner=ama, course=python)
    names = {"wrong_may_read": wrong_may_read, "ama": ama, "python": python, "Enrollment": Enrollment}
    session("never_permission.pycon", **names)
    assert not python.enrollments.filter(learner=ama).exists()


@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/caching/never.py:wrong_enroll")
def test_the_last_seat_is_sold_twice(ama: Learner, kofi: Learner, rust: Course, session: Callable[..., None]) -> None:
    session("never_seats.pycon", wrong_enroll=wrong_enroll, ama=ama, kofi=kofi, rust=rust)
    cache.clear()
    with pytest.raises(CannotEnroll):
        wrong_enroll(Learner.objects.get(name="Esi"), rust)
    rust.enrollments.all().delete()
    session("never_seats_right.pycon", enroll=enroll, ama=ama, kofi=kofi, rust=rust)


@pytest.fixture
def site(settings: Settings, db: None) -> None:
    """A site of this page's views."""
    settings.ROOT_URLCONF = "lab.caching.never"


@pytest.mark.wrong("lab/caching/never.py:wrong_pages")
def test_pages_that_are_somebody_elses(site: None, session: Callable[..., None]) -> None:
    ama, kofi = Client(enforce_csrf_checks=True), Client(enforce_csrf_checks=True)
    session("never_pages.pycon", ama=ama, kofi=kofi)


def test_a_page_that_nobody_keeps(site: None) -> None:
    one, two = (Client().get("/basket/") for _ in range(2))
    assert one.cookies["basket"].value != two.cookies["basket"].value
    assert "no-store" in one["Cache-Control"]
    client = Client()
    client.get("/basket/")
    assert not client.get("/basket/").cookies


@pytest.fixture
def server(valkey: BaseCache) -> Iterator[Redis]:
    """The server behind the cache."""
    with Redis.from_url(caches["default"]._servers[0]) as client:  # type: ignore[attr-defined]
        for key in client.scan_iter("*link:*"):
            client.delete(key)
        yield client


@pytest.mark.services
@pytest.mark.wrong("lab/caching/never.py:wrong_link")
def test_what_lies_readable_in_the_store(server: Redis, session: Callable[..., None]) -> None:
    session("never_secret.pycon", wrong_link=wrong_link, server=server)
    for key in server.scan_iter("*link:*"):
        server.delete(key)
    session("never_secret_right.pycon", link=link, user_of=user_of, server=server)


def works() -> list[str]:
    """Answer as a service that is well."""
    return ["Accra", "Kumasi"]


def fails() -> list[str]:
    """Answer as a service that is away."""
    raise ConnectionRefusedError


@pytest.mark.wrong("lab/caching/never.py:wrong_partners")
def test_a_failure_that_is_kept(clock: Callable[[float], None], session: Callable[..., None]) -> None:
    names = {"works": works, "fails": fails, "shift": clock}
    session("never_outage.pycon", wrong_partners=wrong_partners, **names)
    clock(299)
    assert wrong_partners(works) == []
    cache.clear()
    session("never_outage_right.pycon", partners=partners, **names)
    assert partners(fails) == works(), "it was kept, and nobody is asked"
    cache.clear()
    assert partners(fails) == []
    clock(6)
    assert partners(works) == works(), "five minutes did not have to pass"


def hits(weights: list[float], requests: int, room: int) -> float:
    """Return the share of reads that find their key in a cache with room for so many, the oldest going first."""
    chance = random.Random(2026)  # noqa: S311  (the same draw on every machine)
    kept: dict[int, None] = {}
    found = 0
    for number in chance.choices(range(len(weights)), cum_weights=list(accumulate(weights)), k=requests):
        found += number in kept
        kept.pop(number, None)
        kept[number] = None
        if len(kept) > room:
            del kept[next(iter(kept))]
    return found / requests


def test_what_nobody_asks_for_twice(record: Recorder) -> None:
    pages = 10_000
    kinds = {
        "a few favorites: the nth page 1/n times as often": [1 / n for n in range(1, pages + 1)],
        "every page alike": [1.0] * pages,
    }
    rows = []
    for name, weights in kinds.items():
        shares = [hits(weights, 20_000, room) for room in (100, 1000)]
        rows.append((name, *(f"{share:.0%}" for share in shares)))
    head = "| 10,000 pages, 20,000 requests | Hits with room for 100 | For 1,000 |\n| --- | ---: | ---: |\n"
    assert hits(kinds["every page alike"], 20_000, 1000) < 0.15
    record("never_zipf.md", head + "\n".join("| " + " | ".join(row) + " |" for row in rows))
