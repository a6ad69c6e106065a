"""What is written together stays together, and who is second waits, is refused or oversells."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core import mail
from django.db import DataError, NotSupportedError, OperationalError, connection, connections, transaction
from django.db.models import F
from django.db.models.signals import post_save, pre_save
from django.db.transaction import TransactionManagementError
from django.test import Client, TestCase

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner, Lesson, Tag
from lab.academy.seed import seed
from lab.django_app.transactions import (
    add_seats,
    enroll_all,
    import_grades,
    join,
    move,
    register,
    wrong_add_seats,
    wrong_enroll,
    wrong_enroll_all,
    wrong_join,
    wrong_move,
    wrong_register,
)
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from django.db.models import Model

    from tests.recording.files import Recorder

    Session = Callable[..., None]

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
PATIENCE = 1  # seconds that one writer waits for the other at the INSERT


def people() -> dict[str, Any]:
    """Return the learners and courses that the recorded sessions name."""
    learners = {name.lower(): Learner.objects.get(name=name) for name in ("Ama", "Kofi", "Esi")}
    courses = {slug: Course.objects.get(slug=slug) for slug in ("caching", "python", "django", "docker")}
    return {
        **learners,
        **courses,
        "draft": Course.objects.get(published=False),
        "CannotEnroll": CannotEnroll,
        "Course": Course,
        "Learner": Learner,
        "transaction": transaction,
    }


# Together or not at all


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_a_move(academy: None, session: Session, record: Recorder) -> None:
    names = people()
    session("transactions_move.pycon", **names, move=move, wrong_move=wrong_move)
    with queries() as sent, suppress(CannotEnroll):
        move(names["ama"], names["python"], names["draft"])
    record("transactions_move.sql", sent.text)


@TOGETHER
@pytest.mark.wrong("lab/django_app/transactions.py:wrong_move")
@pytest.mark.databases
def test_a_seat_is_lost_without_a_transaction(academy: None) -> None:
    names = people()
    with pytest.raises(CannotEnroll):
        move(names["ama"], names["caching"], names["draft"])
    assert names["ama"].courses.contains(names["caching"])
    with pytest.raises(CannotEnroll):
        wrong_move(names["ama"], names["caching"], names["draft"])
    assert not names["ama"].courses.contains(names["caching"])


@TOGETHER
@pytest.mark.databases("postgresql")
def test_objects_and_sequences_do_not_roll_back(academy: None, session: Session) -> None:
    session("transactions_python.pycon", **people())


@TOGETHER
@pytest.mark.wrong("lab/django_app/transactions.py:wrong_enroll_all")
@pytest.mark.databases
def test_an_error_inside_atomic_spoils_the_block(academy: None) -> None:
    names = people()
    with pytest.raises(TransactionManagementError, match="until the end of the 'atomic' block"):
        wrong_enroll_all(names["caching"], [names["ama"], names["kofi"]])
    assert not names["kofi"].courses.contains(names["caching"])
    enroll_all(names["caching"], [names["ama"], names["kofi"]])
    assert names["kofi"].courses.contains(names["caching"])


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_an_error_inside_atomic(academy: None, session: Session) -> None:
    session("transactions_enroll_all.pycon", **people(), enroll_all=enroll_all, wrong_enroll_all=wrong_enroll_all)


# After the commit


@TOGETHER
@pytest.mark.wrong("lab/django_app/transactions.py:wrong_join")
@pytest.mark.databases
def test_an_email_goes_out_for_what_was_rolled_back(academy: None) -> None:
    names = people()
    with pytest.raises(CannotEnroll):
        wrong_join(names["kofi"], [names["django"], names["draft"]])
    assert not names["kofi"].courses.contains(names["django"])
    assert [message.body for message in mail.outbox] == ["Your seat: Django"]
    mail.outbox.clear()
    with pytest.raises(CannotEnroll):
        join(names["kofi"], [names["django"], names["draft"]])
    assert mail.outbox == []
    join(names["kofi"], [names["django"], names["docker"]])
    assert [message.body for message in mail.outbox] == ["Your seat: Django", "Your seat: Docker"]


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_an_email(academy: None, session: Session) -> None:
    session("transactions_join.pycon", **people(), join=join, wrong_join=wrong_join, mail=mail)


@TOGETHER
@pytest.mark.parametrize("robust", [False, True])
def test_a_callback_that_fails_stops_the_others_unless_it_is_robust(
    academy: None, caplog: pytest.LogCaptureFixture, *, robust: bool
) -> None:
    def fail() -> None:
        raise OSError("no mail server")

    done: list[str] = []
    with nullcontext() if robust else pytest.raises(OSError, match="no mail server"), transaction.atomic():
        Tag.objects.create(name="stored")
        transaction.on_commit(fail, robust=robust)
        transaction.on_commit(lambda: done.append("second"))
    assert Tag.objects.filter(name="stored").exists()
    assert done == (["second"] if robust else [])
    assert ("no mail server" in caplog.text) is robust


# --8<-- [start:mail_test]
class JoinTest(TestCase):
    """A learner who joins two courses gets two letters."""

    def test_two_courses(self) -> None:
        """A letter goes out for each."""
        seed(courses=2, learners=1, per_learner=0)
        ama = Learner.objects.get(name="Ama")
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            join(ama, Course.objects.all())
        assert len(callbacks) == 2
        assert len(mail.outbox) == 2


# --8<-- [end:mail_test]


def test_callbacks_do_not_run_inside_the_transaction_of_a_test(academy: None) -> None:
    names = people()
    join(names["kofi"], [names["django"]])
    assert mail.outbox == []


# Two writers


@contextmanager
def on_disk(file: Path, **options: str) -> Iterator[None]:
    """Continue with a copy in a file, if the database is SQLite: in memory all threads share one."""
    if connection.vendor != "sqlite":
        yield
        return
    memory, settings = connections["default"], connections.settings["default"]
    config = {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "OPTIONS": options}
    connections.settings["default"] = connections.configure_settings({"default": config})["default"]
    del connections["default"]
    try:
        connection.ensure_connection()
        memory.connection.backup(connection.connection)
        yield
    finally:
        connection.close()
        connections.settings["default"], connections["default"] = settings, memory


def race(model: type[Model], function: Callable[..., object], *calls: tuple[Any, ...]) -> list[str]:
    """Make calls at once, each in a thread with a connection of its own; return what became of them, sorted.

    Each waits before its INSERT until all are there, or gives up when a lock keeps the others away.
    """
    meeting = threading.Barrier(len(calls))

    def meet(**_: object) -> None:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(PATIENCE)

    def call(arguments: tuple[Any, ...]) -> str:
        try:
            function(*arguments)
        except (CannotEnroll, OperationalError) as error:
            return str(error)
        finally:
            connection.close()
        return "done"

    pre_save.connect(meet, sender=model)
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            return sorted(pool.map(call, calls))
    finally:
        pre_save.disconnect(meet, sender=model)


def last_seat() -> tuple[Course, Learner, Learner]:
    """Return a course with one seat left, and two learners who want it."""
    course = Course.objects.get(slug="django")
    course.seats = course.enrollments.count() + 1
    course.save()
    return course, Learner.objects.get(name="Kofi"), Learner.objects.get(name="Esi")


@TOGETHER
@pytest.mark.wrong("lab/django_app/transactions.py:wrong_enroll")
@pytest.mark.databases
def test_the_last_seat_is_sold_twice_without_a_lock(academy: None, tmp_path: Path, database: str) -> None:
    with on_disk(tmp_path / "academy"):
        course, kofi, esi = last_seat()
        outcome = race(Enrollment, wrong_enroll, (kofi, course), (esi, course))
        left = course.seats - course.enrollments.count()
    assert (outcome, left) == {
        "postgresql": (["done", "done"], -1),
        "mariadb": (["done", "done"], -1),
        "sqlite": (["database is locked", "done"], 0),
    }[database]


def test_nobody_joins_twice(academy: None) -> None:
    names = people()
    with pytest.raises(CannotEnroll, match="joined this course before"):
        enroll(names["ama"], names["caching"])


@TOGETHER
@pytest.mark.databases
def test_the_last_seat_is_sold_once_with_a_lock(academy: None, tmp_path: Path, database: str) -> None:
    with on_disk(tmp_path / "academy"):
        course, kofi, esi = last_seat()
        outcome = race(Enrollment, enroll, (kofi, course), (esi, course))
        left = course.seats - course.enrollments.count()
    loser = "database is locked" if database == "sqlite" else "the course is full"
    assert (sorted(outcome), left) == (sorted(["done", loser]), 0)


@TOGETHER
@pytest.mark.parametrize("function", [wrong_enroll, enroll])
def test_sqlite_waits_at_the_beginning_when_told_to(
    academy: None, tmp_path: Path, function: Callable[[Learner, Course], Enrollment]
) -> None:
    with on_disk(tmp_path / "academy", transaction_mode="IMMEDIATE"):
        course, kofi, esi = last_seat()
        outcome = race(Enrollment, function, (kofi, course), (esi, course))
        assert course.enrollments.count() == course.seats
    assert outcome == ["done", "the course is full"]


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_the_last_seat(academy: None, session: Session, record: Recorder) -> None:
    lines = []
    for function in (wrong_enroll, enroll):
        course, kofi, esi = last_seat()
        outcome = race(Enrollment, function, (kofi, course), (esi, course))
        lines.append(
            f"{function.__name__:12} {' / '.join(outcome)}: {course.enrollments.count()} on {course.seats} seats"
        )
        Enrollment.objects.filter(course=course, learner__in=[kofi, esi]).delete()
    record("transactions_race.txt", "\n".join(lines))
    with time_machine.travel("2026-11-23T09:00Z"), queries() as sent:
        enroll(kofi, course)
    record("transactions_enroll.sql", sent.text)
    session("transactions_lock.pycon", **people())


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_who_finds_a_locked_row_may_give_up_or_pass_over_it(academy: None) -> None:
    def other(**options: Any) -> list[int]:
        try:
            with transaction.atomic():
                return [course.pk for course in Course.objects.select_for_update(**options).order_by("pk")[:2]]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        first, second, third = Course.objects.order_by("pk")[:3]
        Course.objects.select_for_update().get(pk=first.pk)
        assert pool.submit(other, skip_locked=True).result() == [second.pk, third.pk]
        with pytest.raises(OperationalError):
            pool.submit(other, nowait=True).result()


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_rows_locked_in_opposite_orders_end_one_transaction(academy: None) -> None:
    meeting = threading.Barrier(2)

    def lock(slugs: tuple[str, str]) -> str:
        try:
            with transaction.atomic():
                Course.objects.select_for_update().get(slug=slugs[0])
                meeting.wait(10)
                Course.objects.select_for_update().get(slug=slugs[1])
        except OperationalError as error:
            return "deadlock" if "deadlock" in str(error).lower() else str(error)
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(lock, [("django", "python"), ("python", "django")])) == ["deadlock", "done"]


@pytest.mark.wrong("lab/django_app/transactions.py:wrong_add_seats")
@pytest.mark.databases
def test_the_second_save_overwrites_the_first(academy: None) -> None:
    one, other = (Course.objects.get(slug="python") for _ in range(2))
    wrong_add_seats(one, 5)
    wrong_add_seats(other, 5)
    assert Course.objects.get(slug="python").seats == 25 + 5
    add_seats(one, 5)
    add_seats(other, 5)
    assert Course.objects.get(slug="python").seats == 25 + 5 + 10


@pytest.mark.databases("postgresql")
def test_the_record_of_lost_seats(academy: None, session: Session, record: Recorder) -> None:
    session("transactions_seats.pycon", Course=Course, wrong_add_seats=wrong_add_seats, add_seats=add_seats)
    python = Course.objects.get(slug="python")
    with queries() as sent:
        wrong_add_seats(python, 5)
        add_seats(python, 5)
    record("transactions_seats.sql", sent.text)


@TOGETHER
@pytest.mark.wrong("lab/django_app/transactions.py:wrong_register")
@pytest.mark.databases
def test_get_or_create_needs_a_constraint(academy: None, tmp_path: Path) -> None:
    with on_disk(tmp_path / "academy"):
        assert race(Learner, wrong_register, ("Aba", "aba@example.com"), ("Aba", "a@example.com")) == ["done", "done"]
        assert Learner.objects.filter(name="Aba").count() == 2
        with pytest.raises(Learner.MultipleObjectsReturned):
            wrong_register("Aba", "aba@example.com")
        assert race(Learner, register, ("Yaa", "yaa@example.com"), ("Yaa B", "yaa@example.com")) == ["done", "done"]
        assert Learner.objects.filter(email="yaa@example.com").count() == 1


# Many rows


@pytest.mark.databases("postgresql")
def test_the_number_of_queries_for_many_rows(academy: None, record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course.objects.get(slug="python")
    seen = {"save": 0, "signals": 0}
    save = Lesson.save

    def counting(self: Lesson, *args: Any, **options: Any) -> None:
        seen["save"] += 1
        save(self, *args, **options)

    def signal(**_: object) -> None:
        seen["signals"] += 1

    def new() -> list[Lesson]:
        course.lessons.all().delete()
        return [Lesson(course=course, position=n, title="Part") for n in range(1, 101)]

    def save_each(lessons: list[Lesson]) -> None:
        for lesson in lessons:
            lesson.save()

    monkeypatch.setattr(Lesson, "save", counting)
    for kind in (pre_save, post_save):
        kind.connect(signal, sender=Lesson)
    rows = ["| 100 lessons | Queries | Calls of `save()` | Signals |", "| --- | ---: | ---: | ---: |"]
    counts = []
    calls: dict[str, Callable[[list[Lesson]], object]] = {
        "`save()` in a loop": save_each,
        "`bulk_create(lessons)`": Lesson.objects.bulk_create,
        "`bulk_create(lessons, batch_size=25)`": lambda lessons: Lesson.objects.bulk_create(lessons, batch_size=25),
        '`bulk_update(lessons, ["minutes"])`': lambda lessons: Lesson.objects.bulk_update(lessons, ["minutes"]),
        '`update(minutes=F("minutes") + 5)`': lambda _: course.lessons.update(minutes=F("minutes") + 5),
    }
    for shown, function in calls.items():
        lessons = new()
        if "update" in shown:
            Lesson.objects.bulk_create(lessons)
        seen |= {"save": 0, "signals": 0}
        with queries() as sent:
            function(lessons)
        counts.append((len(sent.statements), *seen.values()))
        rows.append(f"| {shown} | {len(sent.statements)} | {seen['save']} | {seen['signals']} |")
    for kind in (pre_save, post_save):
        kind.disconnect(signal, sender=Lesson)
    assert counts == [(100, 100, 200), (1, 0, 0), (4, 0, 0), (1, 0, 0), (1, 0, 0)]
    record("transactions_many.md", "\n".join(rows))


def loop(lessons: list[Lesson]) -> None:
    """Store lessons one by one, in one transaction."""
    with transaction.atomic():
        for lesson in lessons:
            lesson.save()


WRITERS: dict[str, Callable[[list[Lesson]], object]] = {
    "save() in a loop": loop,
    "bulk_create()": lambda lessons: Lesson.objects.bulk_create(lessons),
}


def insert(write: Callable[[list[Lesson]], object], rows: int) -> float:
    """Store lessons in a course that has none; return how many milliseconds that took."""
    course = Course.objects.get(slug="python")
    course.lessons.all().delete()
    lessons = [Lesson(course=course, position=n, title="Part") for n in range(1, rows + 1)]
    start = time.perf_counter()
    write(lessons)
    taken = time.perf_counter() - start
    assert course.lessons.count() == rows
    return taken * 1000


def measure_inserts() -> Measurement:
    """Return the median time of five runs for each number of lessons."""
    server, release = versions.server().split()
    return Measurement(
        title="Storing lessons one by one and at once",
        description="The time grows with the rows; bulk_create() stays far below save() in a loop.",
        x="lessons",
        y="time (ms)",
        versions={"Django": version("django"), "psycopg": version("psycopg"), server: release},
        lines={
            name: [(rows, round(median(insert(write, rows) for _ in range(5)), 1)) for rows in (100, 1000, 10000)]
            for name, write in WRITERS.items()
        },
        log_x=True,
        log_y=True,
    )


@pytest.mark.measures("bulk")
@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_time_to_store_many_rows(
    academy: None, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    recorded = measured("bulk.json", measure_inserts)
    for (rows, one_by_one), (same, at_once) in zip(*recorded.lines.values(), strict=True):
        assert rows == same
        assert one_by_one > 5 * at_once
    # What holds on every machine:
    counts = {}
    for name, write in WRITERS.items():
        with queries() as sent:
            write([Lesson(course_id=1, position=n, title=name) for n in range(100, 600)])
        counts[name] = sum(statement.startswith("INSERT") for statement in sent.statements)
        Lesson.objects.filter(title=name).delete()
    assert counts == {"save() in a loop": 500, "bulk_create()": 1}
    one_by_one, at_once = (median(insert(write, 500) for _ in range(3)) for write in WRITERS.values())
    assert one_by_one > at_once


@pytest.mark.databases("postgresql", "sqlite")
def test_a_conflict_updates_the_row(academy: None, record: Recorder, database: str) -> None:
    course, ama, esi = Course.objects.get(slug="caching"), *Learner.objects.filter(name__in=["Ama", "Esi"])
    joined = Enrollment.objects.get(course=course, learner=ama).enrolled_on
    with time_machine.travel("2026-11-23T09:00Z"), queries() as sent:
        import_grades(course, {ama: 80, esi: 70})
    assert dict(course.enrollments.values_list("learner__name", "grade")).items() >= {"Ama": 80, "Esi": 70}.items()
    assert Enrollment.objects.get(course=course, learner=ama).enrolled_on == joined
    if database == "postgresql":
        record("transactions_import.sql", sent.text)


@pytest.mark.databases("mariadb")
def test_mariadb_takes_no_unique_fields(academy: None) -> None:
    with pytest.raises(NotSupportedError, match="unique fields"):
        import_grades(Course.objects.get(slug="caching"), {Learner.objects.get(name="Ama"): 80})


@pytest.mark.databases
def test_what_ignore_conflicts_ignores(academy: None, database: str) -> None:
    Tag.objects.bulk_create([Tag(name="web"), Tag(name="new")], ignore_conflicts=True)
    assert Tag.objects.count() == 6
    long = Tag(name="x" * 50)  # the column holds 40
    if database == "mariadb":
        Tag.objects.bulk_create([long], ignore_conflicts=True)
        assert Tag.objects.filter(name="x" * 40).exists(), "INSERT IGNORE cuts it"
    elif database == "postgresql":
        with pytest.raises(DataError):
            Tag.objects.bulk_create([long], ignore_conflicts=True)
    else:
        Tag.objects.bulk_create([long], ignore_conflicts=True)
        assert Tag.objects.filter(name="x" * 50).exists(), "SQLite never looks at the length"


@pytest.mark.databases("mariadb")
def test_insert_ignore_skips_a_row_without_its_course(academy: None) -> None:
    kofi = Learner.objects.get(name="Kofi")
    Enrollment.objects.bulk_create([Enrollment(course_id=999, learner=kofi)], ignore_conflicts=True)
    assert not Enrollment.objects.filter(course_id=999).exists()


@TOGETHER
@pytest.mark.databases("postgresql")
def test_update_or_create_locks_the_row(academy: None, record: Recorder) -> None:
    with queries() as sent:
        Lesson.objects.update_or_create(course_id=1, position=1, defaults={"title": "Keys"})
    record("transactions_update_or_create.sql", sent.text)


# The price


@TOGETHER
@pytest.mark.databases("postgresql")
def test_a_transaction_for_each_request(academy: None, monkeypatch: pytest.MonkeyPatch, record: Recorder) -> None:
    def ask() -> list[str]:
        with queries() as sent:
            assert Client().get("/", secure=True).status_code == 200
        return sent.statements

    plain = ask()
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    assert [statement for statement in ask() if statement not in plain] == ["BEGIN", "COMMIT"]


@pytest.mark.databases("postgresql")
def test_a_durable_block_is_the_outermost(academy: None, session: Session) -> None:
    session("transactions_durable.pycon", **people())
