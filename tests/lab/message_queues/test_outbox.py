"""A task that is sent before its row can be seen, one that is never sent, and one that is kept with its row."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import django
import pytest
from django.core import mail
from django.db import OperationalError as DatabaseError
from django.db import connection, transaction
from kombu.exceptions import OperationalError

from lab.academy.enrolling import CannotEnroll
from lab.academy.models import Course, Enrollment, Learner
from lab.celery import app
from lab.message_queues.outbox import Message, join, join_and_promise, relay, welcome, wrong_join
from scripts.pages import ROOT
from scripts.services import free_port
from tests import databases
from tests.lab.message_queues.brokers import BROKERS, log, sent, settings, waiting
from tests.lab.production import PRODUCTION, kept
from tests.lab.workers import forget_connections, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.message_queues.brokers import Starts
    from tests.recording.files import Recorder

SERVER = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)
MODULE = "lab.message_queues.outbox"
CONSOLE = "django.core.mail.backends.console.EmailBackend"  # what a worker sends stands in its log
MAIL: dict[str, Any] = (
    {"EMAIL_BACKEND": CONSOLE} if django.VERSION < (6, 1) else {"MAILERS": {"default": {"BACKEND": CONSOLE}}}
)


@pytest.fixture
def message_table(transactional_db: None) -> Iterator[None]:
    """A table for the tasks to be sent."""
    with connection.schema_editor() as editor:
        editor.create_model(Message)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Message)


@pytest.fixture
def kofi(academy: None) -> Learner:
    """A learner without a course."""
    learner = Learner.objects.get(name="Kofi")
    learner.enrollments.filter(certificate=None).delete()
    return learner


def free(learner: Learner) -> Course:
    """Return a course that a learner may join."""
    return Course.objects.filter(published=True).exclude(learners=learner).order_by("pk")[0]


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the app look for a broker where there is none."""
    before = app.conf.broker_url
    app.conf.broker_url = f"redis://127.0.0.1:{free_port()}/0"
    forget_connections()
    yield
    forget_connections()
    app.conf.broker_url = before


@pytest.mark.wrong("lab/message_queues/outbox.py:wrong_join")
@SERVER
@TOGETHER
def test_the_worker_is_faster_than_the_commit(broker: str, worker: Starts, kofi: Learner, record: Recorder) -> None:
    with worker(MODULE, **settings(broker, MAIL)) as running:
        with transaction.atomic():
            wrong_join(kofi, [course := free(kofi)])
            assert running.says("DoesNotExist"), "before the commit"
        assert Enrollment.objects.filter(learner=kofi, course=course).exists(), "and afterwards it is there"
        record("outbox_too_early.txt", "\n".join(log(running.printed)))
        # Sent when the transaction has committed, it finds its row.
        with transaction.atomic():
            join(kofi, [free(kofi)])
            assert waiting(broker) == 0
            assert running.printed.count("received") == 1
        assert running.says("Subject: Welcome")
        assert "To: kofi@example.com" in running.printed
        assert running.says("succeeded")
        # A rollback sends nothing.
        draft = Course.objects.filter(published=False)[0]
        with pytest.raises(CannotEnroll):
            join(kofi, [free(kofi), draft])
        with pytest.raises(CannotEnroll):
            wrong_join(kofi, [free(kofi), draft])
        assert within(10, lambda: running.printed.count("raised unexpected") == 2), "for a row that never was"
        assert running.printed.count("received") == 3
        running.kill()


@SERVER
@TOGETHER
def test_without_a_broker_the_row_is_stored_and_the_visitor_sees_an_error(kofi: Learner, no_broker: None) -> None:
    course = free(kofi)
    with pytest.raises(OperationalError, match="Connection refused"):
        join(kofi, [course])
    assert kofi.enrollments.filter(course=course).exists()


DIES = """
import os
import django
django.setup()
from celery.app.task import Task
from lab.academy.models import Course, Learner
from lab.message_queues.outbox import join

Task.apply_async = lambda *_, **__: os.kill(os.getpid(), 9)  # the power fails now
join(Learner.objects.get(name="Kofi"), Course.objects.filter(pk={course}))
"""


@pytest.mark.parametrize("broker", ["valkey"], indirect=True)
@SERVER
@TOGETHER
def test_a_crash_after_the_commit_loses_the_task(broker: str, kofi: Learner) -> None:
    course = free(kofi)
    environ = {
        **kept("PYTHON", "TEST_"),
        **PRODUCTION,
        "DATABASE_URL": databases.address(),
        "BROKER_URL": broker,
        "DJANGO_SETTINGS_MODULE": "tests.lab.served",
    }
    command = [sys.executable, "-c", DIES.format(course=course.pk)]
    assert subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode == -9
    assert kofi.enrollments.filter(course=course).exists(), "the seat is stored"
    assert waiting(broker) == 0, "and nothing anywhere says that a task was due"


@SERVER
@TOGETHER
def test_the_row_and_its_message_together(message_table: None, kofi: Learner, no_broker: None) -> None:
    course, draft = free(kofi), Course.objects.filter(published=False)[0]
    with pytest.raises(CannotEnroll):
        join_and_promise(kofi, [course, draft])
    assert not Message.objects.exists()
    join_and_promise(kofi, [course])
    message = Message.objects.get()
    assert (message.task, message.args) == (welcome.name, [kofi.enrollments.get(course=course).pk])
    # The broker is away: the message stays.
    with pytest.raises(OperationalError):
        relay()
    assert Message.objects.get() == message


@BROKERS
@SERVER
@TOGETHER
def test_the_relay_sends_what_waits(
    broker: str, message_table: None, kofi: Learner, session: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    course, other = Course.objects.filter(published=True).exclude(learners=kofi).order_by("pk")[:2]
    session(
        "outbox_relay.pycon",
        join_and_promise=join_and_promise,
        relay=relay,
        kofi=kofi,
        course=course,
        other=other,
        Message=Message,
        waiting=lambda: waiting(broker),
    )
    # The relay dies between the message and the commit: it is sent again, with the same key.
    join_and_promise(kofi, [Course.objects.filter(published=True).exclude(learners=kofi)[0]])
    with monkeypatch.context() as patched:
        patched.setattr(Message, "delete", Mock(side_effect=DatabaseError("the connection is lost")))
        with pytest.raises(DatabaseError):
            relay()
    assert (Message.objects.count(), waiting(broker)) == (1, 3)
    assert relay() == 1
    ids = sent(broker)
    assert len(ids) == 4
    assert ids[-2] == ids[-1] != ids[0]


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("broker", ["valkey"], indirect=True)
@TOGETHER
def test_two_relays_take_different_rows(
    broker: str, message_table: None, academy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in range(4):
        Message.objects.create(task=welcome.name, args=[key])
    together = threading.Barrier(2, timeout=10)
    counts: list[int] = []
    send = app.send_task

    def send_together(name: str, args: list[int], **options: object) -> None:
        if args[0] in {0, 2}:
            together.wait()  # both hold rows now
        send(name, args, **options)

    monkeypatch.setattr(app, "send_task", send_together)

    def work() -> None:
        try:
            counts.append(relay(most=2))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [2, 2]
    assert len(set(sent(broker))) == 4
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_the_greeting(academy: None) -> None:
    seat = Enrollment.objects.order_by("pk")[0]
    welcome(seat.pk)
    assert [letter.to for letter in mail.outbox] == [[seat.learner.email]]


@pytest.mark.django_db
def test_a_test_that_rolls_back_sends_nothing(
    academy: None, kofi: Learner, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page says about tests: they have to ask for the callbacks."""
    delay = Mock()
    monkeypatch.setattr(welcome, "delay", delay)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        join(kofi, [free(kofi)])
        assert not delay.called
    assert len(callbacks) == 1
    delay.assert_called_once()
