"""What becomes of messages that nobody can process, on RabbitMQ and with Celery on Valkey."""

from __future__ import annotations

import os
import re
import secrets
import signal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections, transaction
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Producer

from lab.academy.models import Enrollment
from lab.celery import app
from lab.message_queues import dead_letters
from lab.message_queues.dead_letters import (
    declare,
    grade_letter,
    handle,
    parked,
    replay,
    report,
    wrong_handle,
)
from tests.lab.message_queues.brokers import settings
from tests.lab.workers import LIMIT, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Session = Callable[..., None]

pytestmark = pytest.mark.services


@pytest.fixture
def name(connection: Connection) -> Iterator[str]:
    """The name of a queue that nobody else uses."""
    name = f"nexus-{secrets.token_hex(4)}"
    yield name
    for queue in declare(connection.channel(), name):
        queue.delete()


class Patient:
    """A queue whose message may need a moment until it can be fetched: a quorum queue hands it on later."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.name = queue.name

    def get(self) -> Any:
        """Return a message, or None if there is none within a second."""
        found: list[Any] = []

        def look() -> bool:
            found.extend(message for message in [self.queue.get()] if message)
            return bool(found)

        return found[0] if within(1, look) else None


def patient(channel: Any, name: str) -> tuple[Patient, Patient]:
    work, parked = declare(channel, name)
    return Patient(work), Patient(parked)


def send(connection: Connection) -> Callable[..., None]:
    """Return a function that puts texts into a queue as they are."""

    def put(queue: Patient, *texts: str) -> None:
        with Connection(connection.as_uri(include_password=True), transport_options={"confirm_publish": True}) as one:
            for text in texts:
                Producer(one.channel()).publish(text, routing_key=queue.name, content_type="text/plain")

    return put


def test_a_rejected_message_is_parked(connection: Connection, name: str, session: Session) -> None:
    channel = connection.channel()
    session(
        "dead_letters_rabbitmq.pycon",
        channel=channel,
        queue=name,
        declare=patient,
        send=send(connection),
        handle=handle,
    )


@pytest.mark.wrong("lab/message_queues/dead_letters.py:wrong_handle")
def test_the_broker_counts_what_comes_back(connection: Connection, name: str, session: Session) -> None:
    work, waiting = patient(connection.channel(), name)
    session("dead_letters_limit.pycon", work=work, parked=waiting, send=send(connection), wrong_handle=wrong_handle)
    send(connection)(work, '{"name": "Kofi"}')
    wrong_handle(work.get())
    assert work.get() is None, "what is right is acknowledged"


@pytest.mark.wrong("lab/message_queues/dead_letters.py:wrong_handle")
def test_without_a_limit_it_comes_back_forever(connection: Connection) -> None:
    channel = connection.channel()
    queue = Queue(f"nexus-{secrets.token_hex(4)}", durable=True).bind(channel)
    queue.declare()
    send(connection)(Patient(queue), "{'name': 'Ama'}")
    for _ in range(100):
        wrong_handle(queue.get())
    assert queue.get() is not None
    queue.delete()


# Celery on Valkey


def parking() -> str:
    """Return the name of the place for what failed in the test's queue."""
    return f"{app.conf.task_default_queue}.parked"


def starts(printed: str, task: str) -> int:
    """Return how often a worker has taken a task."""
    return len(re.findall(rf"Task \S+\.{task}\[\S+\] received", printed))


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_what_failed_for_good_is_parked(
    broker: str, worker: Callable[..., Any], academy: None, session: Session
) -> None:
    Enrollment.objects.filter(pk=1).update(grade=None)
    options = settings(broker, {"CELERY_WORKER_LOST_WAIT": 0.1})
    with worker("lab.message_queues.dead_letters", concurrency=3, **options) as running:
        grade_letter.delay(1)
        assert within(LIMIT, lambda: parked(parking()))
        session(
            "dead_letters_celery.pycon", place=parking(), parked=parked, replay=replay, Enrollment=Enrollment, seat=1
        )
        assert running.says("you have 71")
        assert parked(parking()) == []
        # Its process is killed, and that of its only retry.
        report.delay(1)
        assert within(LIMIT, lambda: parked(parking()))
        assert starts(running.printed, "report") == 1 + 1
        # It waits for a lock longer than it may.
        with transaction.atomic(), connections["default"].cursor() as cursor:
            cursor.execute("LOCK TABLE academy_enrollment")
            grade_letter.apply_async((1,), time_limit=1)
            assert within(LIMIT, lambda: len(parked(parking())) > 1)
        assert "Signal handler" not in running.printed, "which is how Celery reports that one has failed"
        running.kill()
    assert {(failed["task"].rpartition(".")[2], failed["error"].partition(":")[0]) for failed in parked(parking())} == {
        ("report", "WorkerLostError"),
        ("grade_letter", "TimeLimitExceeded"),
    }


def test_the_tasks_in_this_process(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = []
    monkeypatch.setattr(os, "kill", lambda _, number: killed.append(number))
    report(1)
    assert killed == [signal.SIGKILL]
    Enrollment.objects.filter(pk=1).update(grade=71)
    assert grade_letter(1).endswith("you have 71.")
    Enrollment.objects.filter(pk=1).update(grade=None)
    with pytest.raises(ValueError, match="no grade"):
        grade_letter(1)


def test_parking_in_this_process(broker: str) -> None:
    dead_letters.park(grade_letter, "1", ValueError("no"), args=[1], kwargs={})
    assert parked(parking()) == [], "there is no request yet"
    grade_letter.push_request(delivery_info={"routing_key": app.conf.task_default_queue})
    dead_letters.park(grade_letter, "1", ValueError("no"), args=[1], kwargs={})
    grade_letter.pop_request()
    assert [failed["error"] for failed in parked(parking())] == ["ValueError: no"]
    assert replay(parking()) == 1
