"""What Celery does with a task: a message, a worker, a result; and what it cannot send."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import time
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.app import defaults
from celery.beat import PersistentScheduler, Scheduler
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings as django_settings
from django.core import mail
from django.db import transaction
from kombu.exceptions import EncodeError
from kombu.serialization import dumps, loads

from lab.academy.enrolling import enroll
from lab.academy.models import Certificate, Course, Enrollment, Learner
from lab.academy.tasks import issue_certificates
from lab.celery import app
from lab.message_queues import celery as tasks
from lab.message_queues import celery_samples
from scripts.pages import ROOT
from tests.lab.message_queues.brokers import log, settings, waiting
from tests.lab.production import kept
from tests.lab.workers import within
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from time_machine import TimeMachineFixture

    from lab.asynchronous.upstream import Upstream
    from tests.lab.message_queues.brokers import Starts
    from tests.recording.files import Recorder

SERVER = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)
MODULE = "lab.message_queues.celery"


def backend(url: str | None) -> None:
    """Let the app keep results there."""
    app.conf.result_backend = url
    app._backend_cache = None
    vars(app._local).pop("backend", None)
    for task in app.tasks.values():
        vars(task).pop("_backend", None)
        vars(task).pop("backend", None)


@pytest.fixture
def results(broker: str) -> Iterator[str]:
    """Keep results in the broker, which is Valkey."""
    backend(broker)
    yield broker
    backend(None)


@SERVER
@TOGETHER
def test_a_task_and_its_result(
    results: str, worker: Starts, academy: None, session: Callable[..., None], record: Recorder
) -> None:
    course = Course.objects.filter(enrollments__isnull=False).order_by("pk")[0]
    Certificate.objects.all().delete()
    course.enrollments.update(grade=90)
    issue_certificates.delay(course.pk)
    with app.connection_for_read() as connection, connection.channel() as channel:
        message = json.loads(channel.client.lpop(app.conf.task_default_queue))
    arguments, named, _ = json.loads(b64decode(message["body"]))
    shown = {name: message["headers"][name] for name in ("task", "retries", "eta", "expires")}
    shown |= {"content-type": message["content-type"], "args": arguments, "kwargs": named}
    record("celery_message.json", json.dumps(shown, indent=2))
    options = {"CELERY_RESULT_BACKEND": results}
    with worker(MODULE, **settings(results, options)) as running:
        session("celery_result.pycon", course=course, issue_certificates=issue_certificates, app=app)
        assert running.says("succeeded")
        record("celery_log.txt", "\n".join(log(running.printed)))
        running.kill()
    assert Certificate.objects.count() == course.enrollments.count()


def test_without_a_place_for_results(broker: str, session: Callable[..., None]) -> None:
    session("celery_disabled.pycon", issue_certificates=issue_certificates)


@pytest.mark.wrong("lab/message_queues/celery.py:wrong_congratulate")
@pytest.mark.django_db
def test_an_object_is_no_message(broker: str, academy: None, session: Callable[..., None]) -> None:
    seat = Enrollment.objects.select_related("course", "learner").exclude(grade=None).order_by("pk")[0]
    names = {"wrong_congratulate": tasks.wrong_congratulate, "congratulate": tasks.congratulate}
    session("celery_object.pycon", seat=seat, **names)
    assert waiting(broker) == 1
    # What a pickled object carries along: the grade of then.
    kind, encoding, body = dumps(seat, serializer="pickle")
    Enrollment.objects.filter(pk=seat.pk).update(grade=99)
    tasks.wrong_congratulate(loads(body, kind, encoding, accept={kind}))
    tasks.congratulate(seat.pk)
    told = [letter.body.partition(": ")[2] for letter in mail.outbox]
    assert told == [f"{seat.grade} points", "99 points"]
    assert seat.grade != 99


@SERVER
def test_the_limits(broker: str, worker: Starts, printer: Upstream) -> None:
    with worker(MODULE, concurrency=2, **settings(broker), PRINTER_URL=printer.url) as running:
        printer.release("one")
        tasks.print_certificates.delay(["one", "two", "three"])
        tasks.stubborn.delay("four")
        assert running.says("succeeded"), "what the task returns when the soft limit comes"
        assert "['two', 'three']" in running.printed
        assert running.says("TimeLimitExceeded(2)"), "the hard limit ends a task that does not stop"
        assert running.says("exited with 'signal 9"), "and its process"
        running.kill()


def test_in_the_process_of_the_caller(printer: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRINTER_URL", printer.url)
    printer.release("one")
    assert tasks.print_certificates(["one"]) == []

    def late(number: str) -> str:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(tasks, "have_printed", late)
    assert tasks.print_certificates(["one", "two"]) == ["one", "two"]


@SERVER
def test_how_many_messages_a_busy_worker_takes(
    broker: str, worker: Starts, printer: Upstream, record: Recorder
) -> None:
    multiplier = "worker_prefetch_multiplier"
    cases: dict[str, tuple[Any, dict[str, int], int]] = {
        "none: the multiplier is 4": (tasks.wait_for, {}, 4),
        f"`{multiplier} = 1`": (tasks.wait_for, {multiplier: 1}, 1),
        f"`{multiplier} = 1`, `task_acks_late = True`": (tasks.wait_late, {multiplier: 1}, 0),
        "`worker_disable_prefetch = True` (Redis and Valkey only)": (tasks.wait_for, {"worker_disable_prefetch": 1}, 0),
    }
    base = app.conf.task_default_queue

    def left(queue: str) -> int:
        with app.connection_for_read() as connection, connection.channel() as channel:
            return int(channel.client.llen(queue))

    def reserved(number: int) -> int:
        task, options, expected = list(cases.values())[number]
        queue = f"{base}-{number}"
        for _ in range(10):
            task.apply_async((f"case-{number}",), queue=queue)
        variables = settings(broker, {f"CELERY_{name.upper()}": value for name, value in options.items()})
        with worker(MODULE, "--queues", queue, PRINTER_URL=printer.url, **variables) as running:
            within(10, lambda: left(queue) == 9 - expected)
            time.sleep(0.3)  # would it take more?
            taken = 9 - left(queue)
            running.kill()
        return taken

    with ThreadPoolExecutor(len(cases)) as pool:
        counts = list(pool.map(reserved, range(len(cases))))
    rows = ["| Settings | Messages it keeps, beside the one it works on |", "| --- | ---: |"]
    rows += [f"| {case} | {count} |" for case, count in zip(cases, counts, strict=True)]
    record("celery_prefetch.md", "\n".join(rows))
    assert counts == [expected for _, _, expected in cases.values()]


@pytest.fixture
def eager() -> Iterator[None]:
    """Run each task at once, in the test."""
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.mark.django_db(transaction=True)
def test_what_eager_hides(academy: None, eager: None, session: Callable[..., None]) -> None:
    kofi = Learner.objects.get(name="Kofi")
    course = Course.objects.filter(published=True).exclude(learners=kofi).order_by("pk")[0]
    names = {"transaction": transaction, "enroll": enroll, "congratulate": tasks.congratulate}
    session("celery_eager.pycon", kofi=kofi, course=course, **names)
    assert len(mail.outbox) == 1
    # The arguments go through JSON, though: since Celery 5.1 this much is checked.
    with pytest.raises(EncodeError):
        tasks.wrong_congratulate.delay(Enrollment.objects.order_by("pk")[0])


def test_eager_has_no_limits(eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("soft_time_limit", "time_limit"):
        monkeypatch.setattr(tasks.print_certificates, name, 0.01)
    monkeypatch.setattr(tasks, "have_printed", lambda _: time.sleep(0.1))
    assert tasks.print_certificates.delay(["one"]).get() == [], "nothing is left over, late as it is"


@pytest.fixture
def nightly(broker: str, time_machine: TimeMachineFixture) -> Iterator[None]:
    """Half a minute before two, with the schedule of the page."""
    before = app.conf.beat_schedule
    time_machine.move_to("2026-11-23T01:59:30Z", tick=False)
    tasks.every_night(app)
    yield
    app.conf.beat_schedule = before


def test_each_beat_sends(nightly: None, broker: str, time_machine: TimeMachineFixture) -> None:
    beats = [Scheduler(app=app, lazy=False) for _ in range(2)]
    for beat in beats:
        beat.tick()
    assert waiting(broker) == 0
    time_machine.move_to("2026-11-23T02:00:01Z", tick=False)
    for beat in beats:
        beat.tick()
    assert waiting(broker) == 2, "two schedulers, two messages"
    for beat in beats:
        beat.tick()
    assert waiting(broker) == 2


def test_a_beat_that_was_down_at_two(
    nightly: None, broker: str, time_machine: TimeMachineFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(file: str) -> int:
        """Run beat for a moment; return how many messages there are."""
        beat = PersistentScheduler(app=app, schedule_filename=str(tmp_path / file))
        beat.tick()
        beat.close()
        return waiting(broker)

    assert start("kept") == start("stale") == 0
    time_machine.move_to("2026-11-25T05:00:00Z", tick=False)
    assert start("lost") == 0, "nobody knows that two nights were missed"
    monkeypatch.setitem(app.conf, "beat_cron_starting_deadline", 3600)
    assert start("stale") == 0, "too late is never"
    monkeypatch.setitem(app.conf, "beat_cron_starting_deadline", None)
    assert start("kept") == 1, "late, and once for two nights"
    assert start("kept") == 1


def test_the_settings_are_names_that_celery_knows() -> None:
    names = {name: value for name, value in vars(celery_samples).items() if name.startswith("CELERY_")}
    known = {name for name, _ in defaults.flatten(defaults.NAMESPACES)}
    assert {name.removeprefix("CELERY_").lower() for name in names} <= known
    other = Celery("settings", set_as_current=False)
    other.config_from_object(celery_samples, namespace="CELERY")
    assert (other.conf.task_time_limit, other.conf.task_acks_late, other.conf.worker_prefetch_multiplier) == (
        300,
        True,
        1,
    )


def test_without_the_import_the_task_belongs_to_an_app_of_its_own() -> None:
    code = "from celery import shared_task\n@shared_task\ndef t(): ...\nprint(t.app.main, t.app.conf.broker_url)"
    environ = {**kept(), "BROKER_URL": "redis://127.0.0.1/0"}
    run = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["default", "None"]


def test_the_defaults() -> None:
    other = Celery("defaults", set_as_current=False)
    assert other.conf.result_expires == datetime.timedelta(days=1)
    assert other.conf.worker_pool == "prefork"
    assert other.conf.worker_prefetch_multiplier == 4
    names = {name.removeprefix("CELERY_").lower() for name in vars(celery_samples) if name.startswith("CELERY_")}
    for name in names:
        assert other.conf[name] != getattr(celery_samples, f"CELERY_{name.upper()}"), f"{name} is no default"


def test_the_hour_is_that_of_django() -> None:
    other = Celery("elsewhere", set_as_current=False)
    other.config_from_object({"TIME_ZONE": "Africa/Nairobi"}, namespace="CELERY")
    assert other.timezone.key == "Africa/Nairobi"
    assert app.conf.timezone == django_settings.TIME_ZONE == "UTC"


def test_the_picture(record: Recorder) -> None:
    record(
        "celery_parts.svg",
        draw(
            (ROOT / "lab/message_queues/diagrams/celery_parts.dot").read_text(encoding="utf-8"),
            title="The parts of a task queue",
            description="A web process, or beat by the clock, sends a message to a broker. A worker takes it, works on "
            "the database and acknowledges the message. What the task returns goes to a result store, if there is one.",
        ),
    )
