"""Workers that are killed in the middle of a task, on two brokers, and work that may be done twice."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connection, models

from lab.academy.models import Certificate, Course, Enrollment
from lab.academy.tasks import issue_certificates
from lab.message_queues import delivery
from lab.message_queues.delivery import (
    Done,
    add_bonus,
    print_certificate,
    wrong_add_bonus,
    wrong_print,
    wrong_print_late,
)
from tests.lab.message_queues.brokers import BROKERS, SOON, held_back, settings, waiting
from tests.lab.workers import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.asynchronous.upstream import Upstream
    from tests.lab.message_queues.brokers import Starts
    from tests.recording.files import Recorder

SERVER = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)
MODULE = "lab.message_queues.delivery"
TASKS = {
    "`@shared_task`": wrong_print,
    "`acks_late=True`": wrong_print_late,
    "`acks_late=True, reject_on_worker_lost=True`": print_certificate,
}


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()]


@pytest.mark.wrong("lab/message_queues/delivery.py:wrong_print")
@pytest.mark.wrong("lab/message_queues/delivery.py:wrong_print_late")
@BROKERS
@SERVER
def test_what_becomes_of_a_task_whose_worker_is_killed(
    broker: str, worker: Starts, printer: Upstream, record: Recorder
) -> None:
    environment = {"PRINTER_URL": printer.url}
    patient = settings(broker)
    with worker(MODULE, concurrency=3, **environment, **patient) as first:
        # The kernel ends the three processes that work; their parent lives.
        for number, task in enumerate(TASKS.values()):
            task.delay(f"process-{number}")
        printer.arrived(3)
        for process in children(first.process.pid):
            os.kill(process, signal.SIGKILL)
        printer.arrived(4)
        assert first.says("WorkerLostError")
        printer.release_all(f"process-{number}" for number in range(3))
        printer.finished(4)
        # A container is killed: everything of the worker ends.
        for number, task in enumerate(TASKS.values()):
            task.delay(f"worker-{number}")
        printer.arrived(7)
        first.kill()
    if broker.startswith("amqp"):
        assert within(5, lambda: waiting(broker) == 2), "RabbitMQ gives them to the next at once"
    else:
        assert (waiting(broker), held_back(broker)) == (0, 2), "Valkey does not know that the worker is dead"
    printer.release_all(f"worker-{number}" for number in range(3))
    with worker(MODULE, concurrency=3, **environment, **settings(broker, transport=SOON)) as second:
        printer.finished(9)
        assert "received" in second.printed
    assert waiting(broker) == held_back(broker) == 0, "nothing is left that anybody could do"
    rows = ["| Options of the task | Its process is killed | The whole worker is killed |", "| --- | --- | --- |"]
    for number, options in enumerate(TASKS):
        again = [
            "started again" if printer.seen.count(f"{what}-{number}") == 2 else "**lost**"
            for what in ("process", "worker")
        ]
        rows.append(f"| {options} | {' | '.join(again)} |")
    record("delivery_killed.md", "\n".join(rows))


@pytest.mark.parametrize("broker", ["valkey"], indirect=True)
@SERVER
def test_a_task_longer_than_the_visibility_timeout_runs_twice(broker: str, worker: Starts, printer: Upstream) -> None:
    with worker(MODULE, concurrency=3, **settings(broker, transport=SOON), PRINTER_URL=printer.url) as running:
        sent = print_certificate.delay("slow")
        printer.arrived(2)
        assert running.process.poll() is None, "nobody has died"
        assert running.printed.count(f"[{sent.id}] received") >= 2
        printer.release("slow")
        # So does one that waits for its time, whatever its acknowledgment.
        later = wrong_print.apply_async(("later",), countdown=2)
        printer.release("later")
        assert within(20, lambda: printer.done.count("later") >= 2), printer.done
        assert running.printed.count(f"[{later.id}] received") >= 2
        running.kill()


def test_the_certificate_is_printed(printer: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRINTER_URL", printer.url)
    for number, task in enumerate((wrong_print, wrong_print_late, print_certificate)):
        printer.release(f"c-{number}")
        task(f"c-{number}")
    assert printer.done == ["c-0", "c-1", "c-2"], "the number goes along"


@pytest.fixture
def done_table(transactional_db: None) -> Iterator[None]:
    """A table for what is done."""
    with connection.schema_editor() as editor:
        editor.create_model(Done)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Done)


@pytest.mark.wrong("lab/message_queues/delivery.py:wrong_add_bonus")
@pytest.mark.databases("sqlite", "postgresql")
@TOGETHER
def test_twice_is_too_much(done_table: None, academy: None, session: Callable[..., None], database: str) -> None:
    seat = Enrollment.objects.order_by("pk")[0]
    Enrollment.objects.filter(pk=seat.pk).update(grade=60)
    session(
        "delivery_bonus.pycon", seat=seat, wrong_add_bonus=wrong_add_bonus, add_bonus=add_bonus, Enrollment=Enrollment
    )


@pytest.mark.databases("sqlite", "postgresql")
@TOGETHER
def test_the_key_is_stored_with_the_work_or_not_at_all(
    done_table: None, academy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat = Enrollment.objects.order_by("pk")[0]
    Enrollment.objects.filter(pk=seat.pk).update(grade=60)

    def die(*_: object, **__: object) -> int:
        raise ConnectionError("the worker has lost its database")

    with monkeypatch.context() as patched:
        patched.setattr(models.QuerySet, "update", die)
        with pytest.raises(ConnectionError):
            add_bonus("quiz-7", seat.pk, 5)
    assert not Done.objects.exists()
    assert add_bonus("quiz-7", seat.pk, 5)
    seat.refresh_from_db()
    assert seat.grade == 65


@pytest.mark.databases("postgresql")
@TOGETHER
def test_two_at_once(done_table: None, academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the first between its key and its work: the second waits for its end."""
    seat = Enrollment.objects.order_by("pk")[0]
    Enrollment.objects.filter(pk=seat.pk).update(grade=60)
    inside, on = threading.Event(), threading.Event()
    answers: list[bool] = []

    class Points(models.F):
        """F, of the first of two."""

        def __init__(self, name: str) -> None:
            inside.set()
            on.wait(10)
            super().__init__(name)

    monkeypatch.setattr(delivery, "F", Points)

    def add() -> None:
        try:
            answers.append(add_bonus("quiz-7", seat.pk, 5))
        finally:
            connection.close()

    threads = [threading.Thread(target=add) for _ in range(2)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()

    def second_waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return bool(cursor.fetchone()[0])

    assert within(10, second_waits)
    on.set()
    for thread in threads:
        thread.join(10)
    seat.refresh_from_db()
    assert (sorted(answers), seat.grade) == ([False, True], 65)


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.django_db
def test_certificates_twice_are_certificates_once(academy: None) -> None:
    course = Course.objects.filter(enrollments__isnull=False).order_by("pk")[0]
    Certificate.objects.all().delete()
    course.enrollments.update(grade=90)
    assert issue_certificates(course.pk) == course.enrollments.count()
    assert issue_certificates(course.pk) == 0
    assert Certificate.objects.count() == course.enrollments.count()
