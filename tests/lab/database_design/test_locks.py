"""What waits for what on two servers, who survives a deadlock, and a queue whose jobs are done once."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db import NotSupportedError, OperationalError, connection, connections, transaction
from django.db.models import Exists, F, OuterRef

from lab.academy.models import Certificate, Course, Enrollment, Learner, Tag
from lab.database_design.locks import (
    MARIADB_OPTIONS,
    POSTGRESQL_OPTIONS,
    Job,
    alone,
    move_seats,
    take_seat,
    work,
    wrong_move_seats,
    wrong_take_seat,
    wrong_work,
)
from scripts.pages import ROOT
from tests.lab.database_design.two import LIMIT, Schedule, begin, code, people, process, race, send
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.recording.files import Recorder

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
SERVERS = pytest.mark.databases("postgresql", "mariadb")
SCRIPT = (ROOT / "lab/database_design/locks.sql").read_text(encoding="utf-8")
SCHEDULES = dict(re.findall(r"^-- (\w+): .+\n((?:/\*.+\n)+)", SCRIPT, re.MULTILINE))


def statement(section: str) -> str:
    """Return a quoted statement."""
    found = re.search(rf"\[start:{section}\]\n(.+?)-- --8<--", SCRIPT, re.DOTALL)
    assert found
    return found[1].strip().rstrip(";")


@pytest.fixture
def jobs(transactional_db: None) -> Iterator[None]:
    """A table with forty jobs."""
    assert Job not in apps.get_models()
    with connection.schema_editor() as editor:
        editor.create_model(Job)
    Job.objects.bulk_create(Job(task=f"letter {number}") for number in range(40))
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Job)


# What waits for what


def python() -> Any:
    """Return a queryset of one course."""
    return Course.objects.filter(slug="python")


def enroll() -> None:
    """Insert a row that refers to the course."""
    learner = Learner.objects.create(name="Yaa", email=f"yaa{process()}@example.com")
    Enrollment.objects.create(course=python().get(), learner=learner)


STEPS: dict[str, Callable[[], object]] = {
    "read": lambda: python().get(),
    "`select_for_update()`": lambda: python().select_for_update().get(),
    "… `(no_key=True)`": lambda: python().select_for_update(no_key=True).get(),
    "`update(seats=…)`": lambda: python().update(seats=40),
    "`update(slug=…)`": lambda: python().update(slug="python-3"),
    "enroll": enroll,
}


def in_a_transaction(step: Callable[[], object], *, commit: bool) -> None:
    """Take a step in a transaction, and check what the database checks at its end."""
    transaction.set_autocommit(False)
    step()
    if commit and connection.vendor == "postgresql":
        send("SET CONSTRAINTS ALL IMMEDIATE")


def goes_on(held: str, wanted: str) -> bool:
    """Say whether somebody can do something while somebody else has done another thing and not committed."""

    def end() -> None:
        transaction.rollback()
        transaction.set_autocommit(True)

    with people("Ama", "Kofi") as (ama, kofi):
        ama.do(lambda: in_a_transaction(STEPS[held], commit=False))
        kofi.start(lambda: in_a_transaction(STEPS[wanted], commit=True))
        waited = kofi.waiting
        ama.do(end)
        kofi.settle()
        kofi.do(end)
    return not waited


def matrix(names: list[str]) -> dict[str, list[str]]:
    """Return who waits, by what is held."""
    return {
        held: ["goes on" if goes_on(held, wanted) else "**waits**" for wanted in names]
        for held in names
        if held != "read"
    }


def markdown(title: str, names: list[str], rows: dict[str, list[str]]) -> str:
    """Return a table."""
    table = [[title, *names], ["---"] * (len(names) + 1), *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


@TOGETHER
@pytest.mark.databases("postgresql")
def test_what_waits_for_what_on_postgresql(academy: None, record: Recorder) -> None:
    names = list(STEPS)
    record("locks_postgresql.md", markdown("Ama has done", names, matrix(names)))


@TOGETHER
@pytest.mark.databases("mariadb")
def test_what_waits_for_what_on_mariadb(academy: None, record: Recorder) -> None:
    names = [name for name in STEPS if "no_key" not in name]
    record("locks_mariadb.md", markdown("Ama has done", names, matrix(names)))
    with pytest.raises(NotSupportedError, match="NO KEY"), transaction.atomic():
        STEPS["… `(no_key=True)`"]()
    with pytest.raises(NotSupportedError, match="OF"), transaction.atomic():
        Course.objects.select_for_update(of=("self",)).first()


# Deadlocks


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_a_deadlock_on_postgresql(academy: None, record: Recorder) -> None:
    for _ in range(5):
        done = Schedule(SCHEDULES["deadlock"]).run("READ COMMITTED")
        assert list(done.errors.values()) == ["40P01"]
        if "Ama" in done.errors:
            break  # otherwise Kofi came more than a second after Ama: the machine is busy
    record("locks_deadlock_postgresql.txt", done.text)


@TOGETHER
@pytest.mark.databases("mariadb")
def test_the_record_of_a_deadlock_on_mariadb(academy: None, record: Recorder) -> None:
    done = Schedule(SCHEDULES["deadlock"]).run("READ COMMITTED")
    record("locks_deadlock_mariadb.txt", done.text)
    assert set(done.errors.values()) == {"1213"}


@TOGETHER
@pytest.mark.wrong("lab/database_design/locks.py:wrong_move_seats")
@SERVERS
def test_seats_moved_in_two_directions(academy: None) -> None:
    one, two = Course.objects.filter(slug__in=["django", "python"]).values_list("pk", flat=True)
    calls = ((one, two, 1), (two, one, 1))
    error, done = race(wrong_move_seats, *calls, before="UPDATE", number=2)
    assert "deadlock" in error.lower()
    assert done == "done"
    assert race(move_seats, *calls, before="UPDATE", number=2) == ["done", "done"]


@TOGETHER
@pytest.mark.wrong("lab/database_design/locks.py:wrong_take_seat")
@SERVERS
def test_a_foreign_key_locks_the_course(academy: None, database: str) -> None:
    course = Course.objects.get(slug="python")
    course.enrollments.all().delete()
    ama, kofi = Learner.objects.filter(name__in=["Ama", "Kofi"])
    result = race(wrong_take_seat, (ama, course), (kofi, course), before="UPDATE")
    if database == "postgresql":
        assert result == ["done", "done"]
    else:
        assert result[0].startswith("1213: Deadlock")
        assert result[1] == "done"
    course.enrollments.all().delete()
    assert race(take_seat, (ama, course), (kofi, course), before="INSERT") == ["done", "done"]


@TOGETHER
@pytest.mark.databases("mariadb")
def test_the_gap_between_two_rows_is_locked(academy: None, record: Recorder) -> None:
    done = Schedule(SCHEDULES["gap"]).run("REPEATABLE READ")
    record("locks_gap.txt", done.text)
    assert set(done.errors.values()) == {"1213"}
    Tag.objects.filter(name__startswith="c").delete()
    done = Schedule(SCHEDULES["gap"]).run("READ COMMITTED")
    assert not done.errors
    assert not done.waited


@TOGETHER
@pytest.mark.databases("postgresql")
def test_postgresql_locks_no_gap(academy: None) -> None:
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        done = Schedule(SCHEDULES["gap"]).run(level)
        assert not done.waited
        Tag.objects.filter(name__startswith="c").delete()


ENDS = {
    "postgresql": r"Process \d+ waits for ShareLock on transaction \d+; blocked by process \d+",
    "mariadb": "LATEST DETECTED DEADLOCK",
}


@TOGETHER
@SERVERS
def test_the_server_tells_of_a_deadlock(academy: None, database: str) -> None:
    """On PostgreSQL its log has both statements, on MariaDB a report of InnoDB."""
    soon = ["SET deadlock_timeout = '50ms'"] if database == "postgresql" else []
    with connection.cursor() as cursor:
        assert Schedule(SCHEDULES["deadlock"]).run("READ COMMITTED", *soon).errors
        cursor.execute("SHOW data_directory" if database == "postgresql" else "SHOW ENGINE INNODB STATUS")
        row = cursor.fetchone()
    log = Path(row[0]).parent / "log"
    if database == "postgresql" and not log.exists():
        pytest.skip("the log of this server is elsewhere")
    text = log.read_text(encoding="utf-8") if database == "postgresql" else row[2]
    report = text[text.rindex("deadlock detected" if database == "postgresql" else ENDS[database]) :]
    assert re.search(ENDS[database], report)
    for slug in ("django", "python"):
        assert f"SET seats = seats + 1 WHERE slug = '{slug}'" in report


# Waiting, and not


@TOGETHER
@SERVERS
def test_who_finds_a_lock_may_refuse_to_wait(academy: None, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = connections.settings["default"]
    options = {"postgresql": {"options": "-c lock_timeout=50ms"}, "mariadb": MARIADB_OPTIONS}[database]
    if database == "mariadb":
        options = {"init_command": options["init_command"].replace("= 2", "= 1")}
    monkeypatch.setitem(config, "OPTIONS", {**config["OPTIONS"], **options})

    def hold() -> None:
        transaction.set_autocommit(False)
        assert Course.objects.select_for_update().get(pk=first.pk) == first

    def lock(how: dict[str, Any]) -> object:
        with transaction.atomic():
            return Course.objects.select_for_update(**how).order_by("pk").first()

    first, second = Course.objects.order_by("pk")[:2]
    with people("Ama", "Kofi") as (ama, kofi):
        ama.do(hold)
        assert kofi.do(lock, {"skip_locked": True}) == second
        for how in ({"nowait": True}, {}):
            with pytest.raises(OperationalError) as caught:
                kofi.do(lock, how)
            assert code(caught.value) == {"postgresql": "55P03", "mariadb": "1205"}[database]


@TOGETHER
@SERVERS
def test_the_options_are_understood(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = connections.settings["default"]
    options = POSTGRESQL_OPTIONS if database == "postgresql" else MARIADB_OPTIONS
    names = {
        "postgresql": {"lock_timeout": "0", "idle_in_transaction_session_timeout": "0"},
        "mariadb": {"innodb_lock_wait_timeout": "50", "idle_transaction_timeout": "0"},
    }[database]

    def values() -> dict[str, str]:
        show = "SHOW {}" if database == "postgresql" else "SELECT @@{}"
        try:
            return {name: str(send(show.format(name))[0][0]) for name in names}  # type: ignore[index]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(values).result() == names
        monkeypatch.setitem(config, "OPTIONS", {**config["OPTIONS"], **options})
        minute = "1min" if database == "postgresql" else "60"
        assert list(pool.submit(values).result().values()) == ["2s" if database == "postgresql" else "2", minute]


@TOGETHER
@pytest.mark.databases("mariadb")
def test_after_a_timeout_mariadb_keeps_what_was_done_before(academy: None) -> None:
    def half(*, catch: bool) -> None:
        with transaction.atomic():
            Course.objects.filter(slug="django").update(seats=F("seats") + 1)
            with pytest.raises(OperationalError, match="1205") if catch else nullcontext():
                python().select_for_update().get()

    before = Course.objects.get(slug="django").seats
    with people("Ama", "Kofi") as (ama, kofi):
        ama.sql("BEGIN")
        ama.sql("UPDATE academy_course SET seats = 77 WHERE slug = 'python'")
        kofi.sql("SET innodb_lock_wait_timeout = 0")
        with pytest.raises(OperationalError, match="1205"):
            kofi.do(partial(half, catch=False))
        kofi.step = None
        assert Course.objects.get(slug="django").seats == before
        kofi.do(partial(half, catch=True))
        assert Course.objects.get(slug="django").seats == before + 1


@TOGETHER
@SERVERS
def test_the_query_that_shows_who_waits(academy: None, database: str) -> None:
    with people("Ama", "Kofi") as (ama, kofi):
        for person in (ama, kofi):
            person.sql("BEGIN")
        ama.sql("SELECT seats FROM academy_course WHERE slug = 'python' FOR UPDATE")
        kofi.start(send, "UPDATE academy_course SET seats = 1 WHERE slug = 'python'")
        assert kofi.waiting
        with connection.cursor() as cursor:
            cursor.execute(statement(BLOCKING[database]))
            names = [column[0] for column in cursor.description]
            (row,) = (dict(zip(names, found, strict=True)) for found in cursor.fetchall())
    assert (row.get("pid") or row.get("id"), row["blocked_by"]) == (kofi.process, ama.process)
    assert row["query"] == "UPDATE academy_course SET seats = 1 WHERE slug = 'python'"
    if database == "postgresql":
        assert row["state"] == "idle in transaction"
        assert row["its_last_query"].endswith("FOR UPDATE")


BLOCKING = {"postgresql": "blocking_postgresql", "mariadb": "blocking_mariadb"}


# A queue


def work_off(function: Callable[[str, Callable[[Job], None]], bool]) -> list[str]:
    """Let four workers do what there is to do; return the tasks in the order in which they were begun."""
    begun: list[str] = []
    meeting = threading.Barrier(4)

    def do(job: Job) -> None:
        begun.append(job.task)
        if len(begun) <= 4:
            meeting.wait(LIMIT)  # the first four hold their jobs at the same time

    def worker(number: int) -> None:
        try:
            while function(f"worker {number}", do):
                pass
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    return begun


@pytest.mark.wrong("lab/database_design/locks.py:wrong_work")
@SERVERS
def test_four_workers_without_a_lock_do_one_job(jobs: None) -> None:
    begun = work_off(wrong_work)
    assert begun[:4] == ["letter 0"] * 4
    assert len(begun) >= 43


@SERVERS
def test_each_job_is_done_once(jobs: None) -> None:
    begun = work_off(work)
    assert sorted(begun[:4]) == [f"letter {number}" for number in range(4)]
    assert sorted(begun) == sorted(f"letter {number}" for number in range(40))
    assert not Job.objects.filter(done_by="").exists()


@SERVERS
def test_a_worker_that_fails_gives_its_job_back(jobs: None) -> None:
    def fail(job: Job) -> None:
        raise OSError(job.task)

    with pytest.raises(OSError, match="letter 0"):
        work("worker", fail)
    done: list[str] = []
    assert work("worker", lambda job: done.append(job.task))
    assert done == ["letter 0"]


@pytest.mark.databases("postgresql")
def test_the_record_of_the_queue(jobs: None, record: Recorder) -> None:
    with queries() as sent:
        work("worker 1", lambda _: None)
    record("locks_queue.sql", sent.text)


@TOGETHER
@pytest.mark.databases("postgresql")
def test_a_job_is_given_twice_if_the_locked_row_does_not_change(academy: None) -> None:
    enrollment = Enrollment.objects.filter(certificate=None)[0]

    def take() -> Enrollment | None:
        transaction.set_autocommit(False)
        done = Certificate.objects.filter(enrollment=OuterRef("pk"))
        return Enrollment.objects.filter(~Exists(done), pk=enrollment.pk).select_for_update().first()

    def finish() -> None:
        Certificate.objects.create(enrollment=enrollment)
        transaction.commit()

    with people("Ama", "Kofi") as (ama, kofi):
        assert ama.do(take) == enrollment
        taken = kofi.start(take)
        assert kofi.waiting
        ama.do(finish)
        assert taken.result(LIMIT) == enrollment


@TOGETHER
@pytest.mark.databases("postgresql")
def test_of_says_which_tables_are_locked(academy: None) -> None:
    related = Course.objects.select_related("teacher").order_by("pk")
    with pytest.raises(NotSupportedError, match="nullable side of an outer join"), transaction.atomic():
        related.select_for_update().first()
    with transaction.atomic(), queries() as sent:
        related.select_for_update(of=("self",)).first()
    assert 'FOR UPDATE OF "academy_course"' in sent.statements[0]


# Locks without a row


@TOGETHER
@SERVERS
def test_one_at_a_time(db: None) -> None:
    first, second, third = (alone("letters") for _ in range(3))
    with people("Ama", "Kofi") as (ama, kofi):
        assert ama.do(first.__enter__) is True
        assert kofi.do(second.__enter__) is False
        kofi.do(second.__exit__, None, None, None)
        with alone("grades") as free:
            assert free
        ama.do(first.__exit__, None, None, None)
        assert kofi.do(third.__enter__) is True
        kofi.do(third.__exit__, None, None, None)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic(), alone("letters"):
        pass


# Long transactions


OPEN = {
    "repeatable read, has read": ("REPEATABLE READ", "SELECT COUNT(*) FROM academy_course"),
    "read committed, has written": ("READ COMMITTED", "UPDATE academy_course SET seats = 1"),
    "read committed, has read": ("READ COMMITTED", "SELECT COUNT(*) FROM academy_course"),
}


def dead_rows() -> int:
    """Write each row of a table five times; return how many old versions VACUUM has to leave."""
    heard: list[str] = []

    def listen(diagnostic: psycopg.errors.Diagnostic) -> None:
        heard.append(diagnostic.message_primary or "")

    for _ in range(5):
        send("UPDATE tally SET number = number + 1")
    connection.connection.add_notice_handler(listen)
    send("VACUUM (VERBOSE) tally")
    connection.connection.remove_notice_handler(listen)
    found = re.search(r"(\d+) are dead but not yet removable", "\n".join(heard))
    assert found
    return int(found[1])


@TOGETHER
@pytest.mark.databases("postgresql")
def test_an_open_transaction_keeps_dead_rows(academy: None, record: Recorder) -> None:
    kept = {}
    for title, (level, first) in OPEN.items():
        send("CREATE TABLE tally (id int, number int) WITH (autovacuum_enabled = off)")
        try:
            send("INSERT INTO tally SELECT id, 0 FROM generate_series(1, 1000) AS id")
            with people("Ama") as (ama,):
                begin(ama, level)
                ama.sql(first)
                kept[title] = dead_rows()
                ama.sql("ROLLBACK")
                assert dead_rows() == 0
        finally:
            send("DROP TABLE tally")
    assert list(kept.values()) == [5000, 5000, 0]
    rows = [f"| {title.capitalize()} | {count} |" for title, count in kept.items()]
    head = ["| Ama's open transaction | dead rows that stay |", "| --- | ---: |"]
    record("locks_vacuum.md", "\n".join([*head, *rows, "| Ended | 0 |"]))


@TOGETHER
@pytest.mark.databases("mariadb")
def test_an_open_transaction_keeps_undo(academy: None) -> None:
    def history() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'")
            return int(cursor.fetchone()[0])

    def is_cleared() -> None:
        end = time.monotonic() + LIMIT
        while history() >= 300:  # the server takes it away in the background
            assert time.monotonic() < end
            time.sleep(0.05)

    with people("Ama") as (ama,):
        is_cleared()
        begin(ama, "REPEATABLE READ")
        ama.sql("SELECT COUNT(*) FROM academy_course")
        for _ in range(300):
            send("UPDATE academy_course SET seats = seats + 1 WHERE slug = 'python'")
        assert history() >= 300
        ama.sql("COMMIT")
        is_cleared()
