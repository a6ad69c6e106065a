"""Threads and processes: one lock, shared counters, connections, and what a fork inherits."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import django
from django.contrib.auth.decorators import login_not_required
from django.db import connection, connections
from django.http import HttpResponse
from django.urls import path

from lab.academy.models import Learner
from lab.asynchronous.upstream import aask, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest


# --8<-- [start:gives_way]
def gives_way(work: Callable[[], object]) -> bool:
    """Say if a thread that asks for the lock gets it while the work runs."""
    before, turns = sys.getswitchinterval(), list[str]()
    gate = threading.Lock()
    gate.acquire()

    def other() -> None:
        with gate:
            turns.append("other")

    waiting = threading.Thread(target=other)
    sys.setswitchinterval(1000)  # seconds: nobody is forced to give way
    try:
        waiting.start()
        gate.release()  # from here on the other thread asks for the lock
        work()
        return bool(turns)
    finally:
        sys.setswitchinterval(before)
        waiting.join()


# --8<-- [end:gives_way]


def ranking() -> int:
    """Compute in Python."""
    return sum(number * number % 7 for number in range(250_000))


# --8<-- [start:visits]
class Visits:
    """How often each course was visited."""

    def __init__(self) -> None:
        """Begin with none."""
        self.lock = threading.Lock()
        self.counts: dict[str, int] = {}

    def of(self, course: str) -> int:
        """Return the visits of a course."""
        return self.counts.get(course, 0)

    def add(self, course: str) -> None:
        """Count a visit."""
        with self.lock:
            self.counts[course] = self.of(course) + 1


# --8<-- [end:visits]


def name_of(pk: int) -> str:
    """Return the name of a learner."""
    return Learner.objects.get(pk=pk).name


# --8<-- [start:names]
def name_and_close(pk: int) -> str:
    """Return the name of a learner, and keep no connection."""
    try:
        return name_of(pk)
    finally:
        connections.close_all()


def names(pool: ThreadPoolExecutor, pks: list[int]) -> list[str]:
    """Look learners up in threads."""
    return list(pool.map(name_and_close, pks))


# --8<-- [end:names]


# --8<-- [start:processes]
def processes(workers: int) -> ProcessPoolExecutor:
    """Return processes that begin anew, and load Django first."""
    anew = get_context("spawn")
    return ProcessPoolExecutor(workers, anew, initializer=django.setup)


# --8<-- [end:processes]


# --8<-- [start:count]
def count() -> None:
    """Count the learners, and leave no connection behind."""
    print(Learner.objects.count())
    connection.close()


# --8<-- [end:count]


# --8<-- [start:count_apart]
def count_apart() -> None:
    """Count in another process."""
    connections.close_all()  # nothing is open, so nothing is inherited
    child = get_context("fork").Process(target=count)
    child.start()
    child.join()


# --8<-- [end:count_apart]


@login_not_required
def held(request: HttpRequest) -> HttpResponse:
    """Wait for another service; the thread stands still."""
    return HttpResponse(ask(f"{os.environ['UPSTREAM_URL']}/held/grades"))


@login_not_required
async def aheld(request: HttpRequest) -> HttpResponse:
    """Wait for another service; the thread serves others."""
    return HttpResponse(await aask(f"{os.environ['UPSTREAM_URL']}/held/grades"))


urlpatterns = [path("held/", held), path("aheld/", aheld)]
