"""Who reads an old row while another writes, and what stands in the cache afterwards."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache, caches
from django.db import connection, transaction
from django.db.models.signals import post_save

from lab.academy.models import Course
from lab.caching import invalidation
from lab.caching.invalidation import (
    card,
    card_if_absent,
    card_key,
    change_courses,
    kept,
    load_card,
    rename,
    retire,
    rewrite,
    stamped_card,
    syllabus,
    wrong_forget,
    wrong_rename,
    wrong_rename_through,
)
from lab.caching.invalidation_samples import Syllabus
from scripts.pages import ROOT
from tests.lab.caching.turns import play
from tests.recording import versions
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.cache.backends.base import BaseCache

    from tests.recording.files import Recorder

    Measured = Callable[[str, Callable[[], Measurement]], Measurement]
    Read = Callable[[int], dict[str, Any]]
    Write = Callable[[int, str], None]
    Works = dict[str, Callable[[], object]]

TOGETHER = pytest.mark.django_db(transaction=True)
ONE = 1  # the course that is renamed
OLD, NEW = "Databases", "Data stores"


def change(pk: int, title: str) -> None:
    """Rename by the one function that writes."""
    change_courses([pk], title=title)


# What is read and written in which way, by the name on the page.
WAYS: dict[str, tuple[Read, Write]] = {
    "delete, before the commit": (card, wrong_rename),
    "delete, on commit": (card, rename),
    "store the new value, on commit": (card, wrong_rename_through),
    "the same, and readers only `add`": (card_if_absent, wrong_rename_through),
    "stamp in the key": (stamped_card, change),
}

# The reader stores late; the reader comes before the commit.
LATE = (("reader", "SET course"), ("writer", None), ("reader", None))
EARLY = (("writer", "COMMIT"), ("reader", None), ("writer", None))


def race(read: Read, write: Write, *turns: tuple[str, str | None]) -> tuple[list[str], str]:
    """Let one read and one write in turns; return the steps, and what a third gets afterwards."""
    pk = Course.objects.get(slug="databases").pk  # MariaDB does not begin at 1 again
    works: Works = {"reader": lambda: read(pk), "writer": lambda: write(pk, NEW)}
    lines = play(works, *turns)
    assert Course.objects.get(pk=pk).title == NEW
    return lines, read(pk)["title"]


def ending(lines: list[str], title: str) -> str:
    """Return the steps, and under them the two truths."""
    return "\n".join([*lines, "", f"database: {NEW}", f"cache:    {title}"])


@pytest.mark.wrong("lab/caching/invalidation.py:wrong_inside")
@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_a_deletion_before_the_commit(academy: None, valkey: BaseCache, database: str, record: Recorder) -> None:
    lines, title = race(card, wrong_rename, *EARLY)
    assert title == OLD
    if database == "postgresql":
        record("invalidation_inside.txt", ending(lines, title))


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_a_reader_who_stores_late(academy: None, valkey: BaseCache, database: str, record: Recorder) -> None:
    lines, title = race(card, rename, *LATE)
    assert title == OLD
    if database == "postgresql":
        record("invalidation_late.txt", ending(lines, title))
        client = caches["default"]._cache.get_client()  # type: ignore[attr-defined]
        assert 290 < client.ttl(caches["default"].make_key(card_key(ONE))) <= 300, "for as long as the TTL lasts"


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_stamp_closes_it(academy: None, valkey: BaseCache, record: Recorder) -> None:
    retire("course:1")
    old = invalidation.stamp("course:1")
    late = (("reader", "ADD course:1"), ("writer", None), ("reader", None))
    lines, title = race(stamped_card, change, *late)
    assert title == NEW
    new = invalidation.stamp("course:1")
    text = ending(lines, title).replace(old, "(old stamp)").replace(new, "(new stamp)")
    record("invalidation_stamp.txt", text)
    assert caches["default"].get(f"course:1:{old}:card")["title"] == OLD, "stored where nobody asks"


def second_late(read: Read, write: Write) -> str:
    """Return what is read after the late reader, whatever the step that stores."""
    store = "SET course:1:card" if read is card else "ADD course:1:"
    if read is stamped_card:
        retire("course:1")
    return race(read, write, ("reader", store), ("writer", None), ("reader", None))[1]


def crash(read: Read, write: Write) -> str:
    """Return what is read after a writer that ended between its commit and its word to the cache."""
    read(ONE)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        real = transaction.on_commit
        patch.setattr(transaction, "on_commit", lambda _: real(die))
        if write is wrong_rename:
            write(ONE, NEW)
        else:
            with pytest.raises(SystemExit):
                write(ONE, NEW)
    assert Course.objects.get(pk=ONE).title == NEW
    return str(read(ONE)["title"])


def crossing(read: Read, write: Write) -> str:
    """Return what is read after two writers, of whom the first reaches the cache last."""
    works: Works = {"Ama": lambda: write(ONE, "Ama's title"), "Kofi": lambda: write(ONE, NEW)}
    read(ONE)
    if write is wrong_rename:  # it says so before the commit: there is no step after it
        play(works, ("Ama", None), ("Kofi", None))
    else:
        steps: dict[Any, str] = {rename: "DELETE", wrong_rename_through: "SET course", change: "SET_MANY"}
        play(works, ("Ama", steps[write]), ("Kofi", None), ("Ama", None))
    assert Course.objects.get(pk=ONE).title == NEW
    return str(read(ONE)["title"])


@pytest.mark.wrong("lab/caching/invalidation.py:wrong_through")
@TOGETHER
@pytest.mark.databases("postgresql")
def test_what_each_way_closes(academy: None, valkey: BaseCache, record: Recorder) -> None:
    head = [
        "Way",
        "Reader before the commit",
        "Reader stores late",
        "Two writers cross",
        "Writer dies after the commit",
    ]
    rows, found = [head, ["---"] * 5], {}
    cases: tuple[Callable[[Read, Write], str], ...] = (
        lambda read, write: race(read, write, *EARLY)[1],
        second_late,
        crossing,
        crash,
    )
    for name, (read, write) in WAYS.items():
        ends = []
        for case in cases:
            Course.objects.filter(pk=ONE).update(title=OLD)
            valkey.clear()
            ends.append("fresh" if case(read, write) == NEW else "**stale**")
        rows.append([name, *ends])
        found[name] = [end == "fresh" for end in ends]
    record("invalidation_ways.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    assert found == {
        "delete, before the commit": [False, False, True, True],
        "delete, on commit": [True, False, True, False],
        "store the new value, on commit": [True, False, False, False],
        "the same, and readers only `add`": [True, True, False, False],
        "stamp in the key": [True, True, True, False],
    }


# What the ways do not say


@TOGETHER
@pytest.mark.databases("postgresql")
def test_a_second_deletion_closes_it_if_it_comes_after_the_reader(academy: None, valkey: BaseCache) -> None:
    works: Works = {
        "reader": lambda: card(ONE),
        "writer": lambda: rename(ONE, NEW),
        "again": lambda: cache.delete(card_key(1)),
    }
    start = (("reader", "SET course:1:card"), ("writer", None))
    play(works, *start, ("reader", None), ("again", None))
    assert card(ONE)["title"] == NEW
    valkey.clear()
    works["writer"] = lambda: rename(ONE, "Storage")
    play(works, *start, ("again", None), ("reader", None))
    assert card(ONE)["title"] == NEW != Course.objects.get(pk=ONE).title, "the reader was slower than the pause"


@TOGETHER
@pytest.mark.databases("postgresql")
def test_a_stamp_does_not_help_a_reader_of_an_old_snapshot(academy: None, valkey: BaseCache) -> None:
    def read() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            load_card(2)
            stamped_card(ONE)

    works: Works = {"reader": read, "writer": lambda: change(ONE, NEW)}
    play(works, ("reader", "GET course:1:stamp"), ("writer", None), ("reader", None))
    assert stamped_card(ONE)["title"] == OLD


@pytest.mark.wrong("lab/caching/invalidation.py:wrong_signal")
@TOGETHER
@pytest.mark.databases("postgresql")
def test_who_tells_a_signal(academy: None, record: Recorder) -> None:
    def save(title: str) -> None:
        course = Course.objects.get(pk=ONE)
        course.title = title
        course.save()

    def bulk(title: str) -> None:
        course = Course.objects.get(pk=ONE)
        course.title = title
        Course.objects.bulk_update([course], ["title"])

    def sql(title: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE academy_course SET title = %s WHERE id = 1", [title])

    writers: dict[str, Callable[[str], object]] = {
        "`course.save()`": save,
        "`Course.objects.update_or_create(…)`": lambda title: Course.objects.update_or_create(
            pk=ONE, defaults={"title": title}
        ),
        "`Course.objects.filter(…).update(…)`": lambda title: Course.objects.filter(pk=ONE).update(title=title),
        "`bulk_update(…)`": bulk,
        "SQL, a migration, another program": sql,
    }
    rows, found = [["Written by", "Card"], ["---"] * 2], []
    post_save.connect(wrong_forget, sender=Course)
    try:
        for name, write in writers.items():
            card(ONE)
            write(f"After {name}")
            assert Course.objects.get(pk=ONE).title == f"After {name}"
            found.append(card(ONE)["title"] == f"After {name}")
            rows.append([name, "fresh" if found[-1] else "**stale**"])
            cache.delete(card_key(ONE))
    finally:
        post_save.disconnect(wrong_forget, sender=Course)
    assert found == [True, True, False, False, False]
    record("invalidation_signals.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))


@TOGETHER
@pytest.mark.databases("postgresql")
def test_a_transaction_that_is_rolled_back_retires_nothing(academy: None) -> None:
    before = invalidation.stamp("course:1")
    with transaction.atomic():
        change(ONE, NEW)
        transaction.set_rollback(True)
    assert Course.objects.get(pk=ONE).title == OLD
    assert invalidation.stamp("course:1") == before
    change(ONE, NEW)
    assert invalidation.stamp("course:1") != before


@TOGETHER
@pytest.mark.databases("postgresql")
def test_what_hangs_on_a_course_goes_with_it(academy: None, session: Callable[..., None]) -> None:
    def titles() -> list[str]:
        return list(Course.objects.order_by("pk").values_list("title", flat=True)[:2])

    session("invalidation_kept.pycon", kept=kept, titles=titles, card=stamped_card, change_courses=change_courses)


def test_an_evicted_stamp_brings_nothing_old_back() -> None:
    kept("course:1", "card", lambda: OLD, 300)
    cache.delete("course:1:stamp")
    assert kept("course:1", "card", lambda: NEW, 300) == NEW


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_version_of_the_row(valkey: BaseCache, record: Recorder) -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Syllabus)
    try:
        row = Syllabus.objects.create(text="old")
        works: Works = {"reader": lambda: syllabus(row.pk), "writer": lambda: rewrite(row.pk, "new")}
        lines = play(works, ("reader", "ADD"), ("writer", None), ("reader", None))
        assert syllabus(row.pk) == "<p>new</p>"
        assert cache.get(f"syllabus:{row.pk}:v1") == "<p>old</p>"
        assert cache.get(f"syllabus:{row.pk}:v2") == "<p>new</p>"
        assert not any("DELETE" in line for line in lines)
        record("invalidation_row.txt", "\n".join(lines))
        # A writer between the two questions: what is new stands under the old version, where nobody asks any more.
        hold = (("reader", "GET"), ("writer", None), ("reader", None))
        works["writer"] = lambda: rewrite(row.pk, "newest")
        cache.delete(f"syllabus:{row.pk}:v2")
        play(works, *hold)
        assert syllabus(row.pk) == "<p>newest</p>"
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Syllabus)


def test_another_process_keeps_its_own_copy() -> None:
    cache.set(card_key(ONE), OLD)
    code = f"import django; django.setup(); from django.core.cache import cache; cache.delete('{card_key(ONE)}')"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert "LocMem" in type(caches["default"]).__name__
    assert cache.get(card_key(ONE)) == OLD


# How often it happens

READERS = 3
PAUSE = 0.002  # what is left of the transaction after the write


def write_slowly(write: Write, title: str) -> None:
    """Write in a transaction that has something left to do."""
    with transaction.atomic():
        write(ONE, title)
        time.sleep(PAUSE)


def stale_ends(read: Read, write: Write, rounds: int) -> int:
    """Return after how many of the writes the cache held an old value, when all readers had ended."""
    found = 0
    meeting = threading.Barrier(READERS + 1)
    over = threading.Event()
    chance = random.Random(2026)  # noqa: S311  (a pause in an experiment)

    def keep_reading() -> None:
        try:
            for _ in range(rounds):
                meeting.wait(30)
                while not over.is_set():
                    read(ONE)
                meeting.wait(30)
                meeting.wait(30)
        finally:
            connection.close()
            caches["default"].close()

    threads = [threading.Thread(target=keep_reading, daemon=True) for _ in range(READERS)]
    for one in threads:
        one.start()
    for number in range(rounds):
        over.clear()
        cache.delete(card_key(ONE))  # as if its time had ended: the readers miss around the write
        retire("course:1")
        meeting.wait(30)
        time.sleep(chance.random() * PAUSE)
        write_slowly(write, f"Title {number}")
        over.set()
        meeting.wait(30)
        found += read(ONE)["title"] != f"Title {number}"
        meeting.wait(30)
    for one in threads:
        one.join(30)
    return found


@functools.cache
def run(rounds: int) -> dict[str, float]:
    """Return of how many writes of a thousand an old value was left, for each way; they take turns."""
    found = dict.fromkeys(WAYS, 0)
    for _ in range(5):
        for name, (read, write) in WAYS.items():
            found[name] += stale_ends(read, write, rounds // 5)
    return {name: round(1000 * each / rounds, 1) for name, each in found.items()}


def measure() -> Measurement:
    """Return the old values that were left."""
    name, release = versions.server().split()
    cache_name, cache_release = versions.cache_server().split()
    packages = {"Django": version("django"), "redis-py": version("redis")}
    return Measurement(
        title="Old values left in the cache by a race",
        description="A deletion before the commit leaves many; on commit it is rare; a stamp leaves none.",
        x="way",
        y="writes of a thousand that left an old value",
        versions={**packages, name: release, cache_name: cache_release},
        bars=run(1000),
    )


@pytest.mark.measures("invalidation")
@TOGETHER
@pytest.mark.databases("postgresql")
def test_how_often_an_old_value_is_left(academy: None, valkey: BaseCache, measured: Measured) -> None:
    inside, on_commit, _, only_add, stamp = measured("invalidation.json", measure).bars.values()
    assert inside > 500
    assert inside > 10 * on_commit
    assert only_add == stamp == 0
    # The same, small:
    assert stale_ends(card, wrong_rename, 20) > 0
    assert stale_ends(stamped_card, change, 10) == 0
