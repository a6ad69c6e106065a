"""A teacher renames a course while a learner looks at it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache, caches
from django.db import DatabaseError, connection, transaction

from lab.academy.models import Course, Lesson
from lab.challenges.stale_cache.broken import courses as broken
from lab.challenges.stale_cache.fixed import courses as fixed
from tests.lab.caching.turns import play
from tests.lab.database_design.two import LIMIT, Person, people
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from django.core.cache.backends.base import BaseCache

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

    Session = Callable[..., None]

ONE, OLD, NEW = 1, "Databases", "Data stores"
POSTGRESQL = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)


def left(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do something in a thread of its own, and leave no connection to the cache."""
    try:
        return work(*arguments)
    finally:
        caches["default"].close()


def stopped_before_the_commit(teacher: Person, reached: threading.Event, go: threading.Event) -> None:
    """Let the teacher's next COMMIT wait for an event."""

    def hold() -> None:
        real = connection.commit

        def commit() -> None:
            reached.set()
            assert go.wait(LIMIT)
            real()

        connection.commit = commit  # type: ignore[method-assign]  # of this thread's connection

    teacher.do(hold)


def read_during_the_rename(module: ModuleType) -> str:
    """Let a learner ask for the card while the rename has done all but its commit; return the title before it."""
    reached, go = threading.Event(), threading.Event()
    with people("Esi", "Ama") as (teacher, learner):
        stopped_before_the_commit(teacher, reached, go)
        try:
            renaming = teacher.thread.submit(left, module.rename, ONE, NEW)
            renaming.add_done_callback(lambda _: reached.set())  # without a transaction nothing is to be waited for
            assert reached.wait(LIMIT)
            reading = learner.start(left, module.card, ONE)  # to its end, or until it waits for a lock
        finally:
            go.set()
        renaming.result(LIMIT)
        title: str = reading.result(LIMIT)["title"]
    return title


@POSTGRESQL
@TOGETHER
@pytest.mark.broken("stale_cache.txt")
@pytest.mark.wrong("lab/challenges/stale_cache/broken/courses.py:wrong_courses")
def test_the_card_shows_the_new_title(version: Version, academy: None, valkey: BaseCache) -> None:
    courses = version.module("courses")
    courses.card(ONE)
    with queries() as sent:
        assert courses.card(ONE)["title"] == OLD
    cached = not any("academy_course" in statement and "title" in statement for statement in sent.statements)
    assert cached, "a card is kept: the second reader asks no table for the title"
    with pytest.raises(DatabaseError):
        courses.rename(ONE, "x" * 115)  # the titles of the lessons are too long
    assert Course.objects.get(pk=ONE).title == OLD, "a rename is done whole or not at all"
    assert courses.card(ONE)["title"] == OLD
    with transaction.atomic():
        courses.rename(ONE, NEW)
        transaction.set_rollback(True)  # something fails later, in a function that calls this one
    assert courses.card(ONE)["title"] == OLD, "the rename is rolled back, and the next visitor sees the new title"
    assert read_during_the_rename(courses) in {OLD, NEW}
    assert Course.objects.get(pk=ONE).title == NEW
    assert Lesson.objects.filter(course=ONE).first().title == f"{NEW}, part 1"  # type: ignore[union-attr]
    assert courses.card(ONE)["title"] == NEW, "the rename is committed, and the next visitor sees the old title"


@POSTGRESQL
@TOGETHER
@pytest.mark.parametrize(
    ("module", "title", "name"),
    [(broken, OLD, "stale_cache_broken.txt"), (fixed, NEW, "stale_cache_fixed.txt")],
    ids=["broken", "fixed"],
)
def test_the_order_of_the_steps(
    academy: None, valkey: BaseCache, record: Recorder, module: ModuleType, title: str, name: str
) -> None:
    Lesson.objects.filter(course=ONE, position__gt=1).delete()  # one is enough to read
    module.card(ONE)
    works: dict[str, Callable[[], object]] = {
        "learner": lambda: module.card(ONE),
        "teacher": lambda: module.rename(ONE, NEW),
    }
    lines = play(works, ("teacher", "COMMIT"), ("learner", None), ("teacher", None))
    record(name, "\n".join(lines))
    assert module.card(ONE)["title"] == title


@pytest.mark.wrong("lab/challenges/stale_cache/broken/courses.py:wrong_courses")
@POSTGRESQL
@TOGETHER
def test_how_long_it_stays(academy: None, valkey: BaseCache, session: Session) -> None:
    assert read_during_the_rename(broken) == OLD

    def seconds_left(key: str) -> int:
        return int(caches["default"]._cache.get_client().ttl(caches["default"].make_key(key)))  # type: ignore[attr-defined]

    session("stale_cache.pycon", cache=cache, Course=Course, seconds_left=seconds_left)


@pytest.mark.wrong("lab/challenges/stale_cache/broken/courses.py:wrong_courses")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("module", [broken, fixed], ids=["broken", "fixed"])
def test_one_connection_sees_no_difference(academy: None, module: ModuleType) -> None:
    assert module.card(ONE)["title"] == OLD
    module.rename(ONE, NEW)
    assert module.card(ONE)["title"] == NEW


@TOGETHER
def test_a_cache_that_is_out_of_reach_keeps_the_old_title(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed.card(ONE)

    def fail(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(type(caches["default"]), "delete", fail)
    with pytest.raises(ConnectionError):
        fixed.rename(ONE, NEW)
    assert Course.objects.get(pk=ONE).title == NEW
    assert fixed.card(ONE)["title"] == OLD


@pytest.mark.django_db
def test_in_a_test_that_rolls_back_the_deletion_has_to_be_asked_for(
    academy: None, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    fixed.card(ONE)
    fixed.rename(ONE, NEW)
    assert fixed.card(ONE)["title"] == OLD, "a TestCase never commits"
    with django_capture_on_commit_callbacks(execute=True):
        fixed.rename(ONE, NEW)
    assert fixed.card(ONE)["title"] == NEW
