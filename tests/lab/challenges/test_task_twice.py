"""A worker dies in the middle of a task."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis
from django.db import connection, transaction
from kombu.transport.redis import Channel

from lab.academy.models import Lesson
from lab.celery import app
from lab.challenges.task_twice import options
from lab.challenges.task_twice.broken import copying as broken
from lab.challenges.task_twice.fixed import copying as fixed
from tests.lab.database_design.two import race
from tests.lab.workers import LIMIT, Worker, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from celery import Task

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

    Start = Callable[..., AbstractContextManager[Worker]]

OLD, NEW = 1, 2  # the editions of the course
SERVER = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)
WRONG = pytest.mark.wrong("lab/challenges/task_twice/broken/copying.py:wrong_copy_lessons")


def titles(course: int) -> list[str]:
    """Return the titles of a course's lessons, in their order."""
    return list(Lesson.objects.filter(course_id=course).order_by("position").values_list("title", flat=True))


@pytest.fixture
def editions(academy: None) -> list[str]:
    """An old edition with four lessons, whose titles are returned, and a new one without."""
    Lesson.objects.filter(course=OLD, position__gt=4).delete()
    Lesson.objects.filter(course=NEW).delete()
    return titles(OLD)


class Broker:
    """What Valkey knows of the test's queue."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.queue = app.conf.task_default_queue

    @property
    def waiting(self) -> int:
        """How many messages nobody has taken."""
        return int(self.client.llen(self.queue))

    @property
    def given_out(self) -> int:
        """How many messages somebody has taken, and not acknowledged."""
        messages: dict[bytes, bytes] = self.client.hgetall("unacked")  # type: ignore[assignment]
        return sum(json.loads(message)[2] == self.queue for message in messages.values())

    def has_none(self) -> bool:
        """Say whether there is no message; a message on its way to a worker is in neither place for a moment."""
        for _ in range(6):
            if self.waiting + self.given_out:
                return False
            time.sleep(0.05)
        return True


def blocked() -> list[int]:
    """Return the server's numbers of the connections that wait for this one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return [row[0] for row in cursor.fetchall()]


@contextmanager
def in_the_way(*courses: int) -> Iterator[None]:
    """Let tasks that copy into courses wait before the third lesson: a transaction has written one at that place.

    At the end it is rolled back.
    """
    with transaction.atomic():
        for course in courses:
            Lesson.objects.create(course_id=course, position=3, title="In the way")
        yield
        transaction.set_rollback(True)


def waiting(number: int = 1) -> list[int]:
    """Wait until so many connections wait for this one; return them."""
    assert within(LIMIT, lambda: len(blocked()) >= number), "the task writes the third lesson"
    return blocked()


def close(connections: list[int]) -> None:
    """Let the server close connections, as it does when it notices that the process behind one is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid, 10000) FROM unnest(%s) AS pid", [connections])


def kill_the_children(worker: Worker) -> None:
    """Kill the processes that run the tasks, as the kernel does when memory is short; wait for their successors."""
    parent = psutil.Process(worker.process.pid)
    before = {child.pid: child for child in parent.children()}
    for child in before.values():
        child.kill()
    assert within(LIMIT, lambda: len({child.pid for child in parent.children()} - set(before)) == len(before))


def accident(worker: Worker, broker: Broker, tasks: dict[int, Task]) -> int:
    """Send tasks, each to copy into a course of its own, and kill the processes that run them after two lessons.

    Return how many messages the broker had at that moment.
    """
    with in_the_way(*tasks):
        for course, task in tasks.items():
            task.delay(OLD, course)
        running = waiting(len(tasks))
        known = broker.waiting + broker.given_out
        kill_the_children(worker)
        close(running)
    return known


@contextmanager
def alone(worker: Start, number: int, module: str, **variables: str) -> Iterator[Worker]:
    """Run a worker with so many children that looks for no other workers; kill it at the end: nobody waits for it."""
    with worker(module, concurrency=number, **variables) as running:
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.kill()


@pytest.fixture
def copying(version: Version) -> ModuleType:
    """The module of the challenge, imported before the fixture ``broker`` closes the app, which then takes no tasks."""
    return version.module("copying")


def module_of(version: Version, copying: ModuleType) -> tuple[str, dict[str, str]]:
    """Return the name by which a worker imports the module, and what it needs in its environment for that."""
    module = copying.__name__
    path = os.pathsep.join(filter(None, [str(version.folder), os.environ.get("PYTHONPATH", "")]))
    return module, {} if "." in module else {"PYTHONPATH": path}


@SERVER
@TOGETHER
@pytest.mark.broken("task_twice.txt")
@WRONG
def test_the_new_edition_has_the_lessons_once(
    version: Version, copying: ModuleType, editions: list[str], broker: str, worker: Start
) -> None:
    queue, task = Broker(broker), copying.copy_lessons
    module, variables = module_of(version, copying)
    with alone(worker, 1, module, **variables) as running:
        accident(running, queue, {NEW: task})
        within(LIMIT, lambda: titles(NEW) == editions or queue.has_none())
        done, most = len(titles(NEW)), len(editions)
        assert done == most, f"the process with the task was killed, and of {most} lessons {done} are there"
        assert titles(NEW) == editions
        assert within(LIMIT, queue.has_none), "what is done is acknowledged"
        task.delay(OLD, NEW)  # as a broker does that has not heard of the end
        assert within(LIMIT, queue.has_none)
        assert titles(NEW) == editions, "the task was given out twice"


def said(printed: str) -> str:
    """Return what a worker printed about its tasks, without times, numbers and names of one run."""
    found = re.findall(r"^\[[^]]*: \w+/\w+\] (.*)$", printed, re.MULTILINE)
    text = "\n".join(line for line in found if line.startswith(("Task", "Process")))
    text = re.sub(r"\[[0-9a-f-]{36}\]", "[…]", text)
    text = re.sub(r"Worker-\d+' pid:\d+", "Worker-…' pid:…", re.sub(r"Job: \d+", "Job: …", text))
    return "\n".join(dict.fromkeys(line for line in text.splitlines() if ".options." not in line))


@SERVER
@TOGETHER
@WRONG
def test_which_options_keep_a_task(editions: list[str], broker: str, worker: Start, record: Recorder) -> None:
    queue = Broker(broker)
    each = (broken.copy_lessons, options.late, options.late_and_given_back, options.late_and_retried)
    tasks = {NEW + number: task for number, task in enumerate(each)}
    Lesson.objects.filter(course__in=tasks).delete()
    modules = f"{broken.__name__},{options.__name__}"
    with alone(worker, len(tasks), modules) as running:
        known = accident(running, queue, tasks)
        assert known == 3, "all but that of the first"
        assert within(LIMIT, lambda: [len(titles(NEW + 2)), len(titles(NEW + 3))] == [4, 4])
        assert within(LIMIT, queue.has_none)
        assert running.says("Task handler raised error")
        record("task_twice_log.txt", said(running.printed))
    counts = [len(titles(course)) for course in tasks]
    names = [
        "none: the broken version",
        "`acks_late`",
        "`acks_late` and `reject_on_worker_lost`",
        "`acks_late` and `retry_on_worker_lost`",
    ]
    rows = [f"| {name} | {count} of 4 |" for name, count in zip(names, counts, strict=True)]
    record("task_twice_options.md", "\n".join(["| Options | Lessons after the accident |", "| --- | --- |", *rows]))
    assert counts == [2, 2, 4, 4]


@SERVER
@TOGETHER
def test_a_whole_worker_is_killed(editions: list[str], broker: str, worker: Start) -> None:
    queue = Broker(broker)
    with alone(worker, 1, fixed.__name__) as running, in_the_way(NEW):
        fixed.copy_lessons.delay(OLD, NEW)
        left = waiting()
        running.kill()
        close(left)
    assert (queue.waiting, queue.given_out) == (0, 1), "nobody gives it back"
    assert titles(NEW) == editions[:2]
    impatient = {"DJANGO_SETTINGS_MODULE": "tests.lab.challenges.impatient"}
    time.sleep(1.1)  # the visibility timeout of the next worker
    with alone(worker, 1, fixed.__name__, **impatient):
        assert within(LIMIT, queue.has_none)
    assert titles(NEW) == editions


def test_the_broker_waits_for_an_hour() -> None:
    assert Channel.visibility_timeout == 3600


@WRONG
@pytest.mark.django_db
def test_twice_in_one_process(editions: list[str], session: Callable[..., None]) -> None:
    names: dict[str, Any] = {"titles": titles, "old": OLD, "new": NEW}
    session("task_twice_broken.pycon", copy_lessons=broken.copy_lessons, **names)
    Lesson.objects.filter(course=NEW, position__gt=2).delete()
    broken.copy_lessons(OLD, NEW)
    assert len(titles(NEW)) == 6, "a second run after two lessons"
    Lesson.objects.filter(course=NEW).delete()
    session("task_twice_fixed.pycon", copy_lessons=fixed.copy_lessons, **names)


@SERVER
@TOGETHER
def test_twice_at_the_same_time(editions: list[str]) -> None:
    done = race(fixed.copy_lessons, (OLD, NEW), (OLD, NEW), before="INSERT")
    assert done == ["done", "done"]
    assert titles(NEW) == editions


@pytest.mark.django_db
def test_a_lesson_that_is_there_already_takes_the_place(editions: list[str]) -> None:
    Lesson.objects.create(course_id=NEW, position=1, title="Welcome")
    fixed.copy_lessons(OLD, NEW)
    assert titles(NEW) == ["Welcome", *editions[1:]]


@pytest.mark.django_db
@pytest.mark.parametrize("task", [options.late, options.late_and_given_back, options.late_and_retried])
def test_the_options_do_not_change_what_is_done(editions: list[str], task: Task) -> None:
    task(OLD, NEW)
    assert titles(NEW) == editions
