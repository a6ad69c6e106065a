"""Threads, processes and coroutines: what runs at once, what is shared, what gets lost."""

from __future__ import annotations

import asyncio
import pickle
import queue
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from lab.python import concurrency
from lab.python.concurrency import (
    Course,
    WrongCourse,
    draw_all,
    in_coroutines,
    in_threads,
    one_by_one,
    part,
    send_all,
    total_of,
    wrong_add,
    wrong_send_all,
    wrong_total,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Session = Callable[..., None]

SLUGS = ["python", "django", "caching", "docker", "graphql", "redis"]


class Gauge:
    """Counts how many calls are under way; each waits for as many as are expected, then a moment for more."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.now = self.most = 0
        self.changed = threading.Condition()

    def fetch(self, slug: str) -> int:
        """Answer in a thread."""
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.expected, timeout=10)
        time.sleep(0.05)
        with self.changed:
            self.now -= 1
        return len(slug)

    async def afetch(self, slug: str) -> int:
        """Answer in an event loop."""
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.05)
        self.now -= 1
        return len(slug)


def test_how_many_are_under_way(record: Recorder) -> None:
    rows = ["| Function | Most calls under way, of six |", "| --- | ---: |"]
    ways: dict[Callable[..., Any], tuple[int, Callable[[Gauge], Any]]] = {
        one_by_one: (1, lambda gauge: one_by_one(gauge.fetch, SLUGS)),
        in_threads: (3, lambda gauge: in_threads(gauge.fetch, SLUGS)),
        in_coroutines: (6, lambda gauge: asyncio.run(in_coroutines(gauge.afetch, SLUGS))),
    }
    for function, (expected, call) in ways.items():
        gauge = Gauge(expected)
        assert call(gauge) == [len(slug) for slug in SLUGS], "the answers come in the order of the questions"
        assert gauge.most == expected
        rows.append(f"| `{function.__name__}` | {gauge.most} |")
    record("concurrency_under_way.md", "\n".join(rows))


def at_once(course: Course | WrongCourse) -> list[bool]:
    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(course.enroll, ["Ama", "Kofi"]))


@pytest.mark.wrong("lab/python/concurrency.py:wrong_course")
def test_one_seat_is_given_to_two(record: Recorder) -> None:
    meeting = threading.Barrier(2)

    class Slow(Course):
        """Waits for the other thread between reading and writing, where WrongCourse does so by itself."""

        @property
        def left(self) -> int:
            value = self.value
            with suppress(threading.BrokenBarrierError):
                meeting.wait(0.5)  # in vain: the lock keeps the other thread away
            return value

        @left.setter
        def left(self, value: int) -> None:
            self.value = value

    told: list[str] = []

    def tell(learner: str) -> None:
        told.append(learner)
        meeting.wait(10)

    wrong = at_once(WrongCourse(1, tell))
    assert (wrong, sorted(told)) == ([True, True], ["Ama", "Kofi"])
    alone = WrongCourse(1, lambda _: None)
    assert [alone.enroll("Ama"), alone.enroll("Kofi")] == [True, False], "one thread sees nothing of it"
    right = at_once(Slow(1, lambda _: None))
    assert right == [False, True]
    lines = [
        f"{name:12}{sum(answers)} of 2 have a seat" for name, answers in {"WrongCourse": wrong, "Course": right}.items()
    ]
    record("concurrency_race.txt", "\n".join(lines))


def test_foreign_code_is_called_without_the_lock() -> None:
    held: list[bool] = []
    course = Course(1, lambda _: held.append(course.lock.locked()))
    assert course.enroll("Ama")
    assert held == [False]


def test_a_lock_is_not_for_the_same_thread_twice() -> None:
    lock = threading.Lock()
    with lock:
        assert not lock.acquire(timeout=0.05)
    again = threading.RLock()
    with again:
        assert again.acquire(timeout=0.05)


def send(learner: str) -> None:
    """Send to those who have an address."""
    if learner == "Kofi":
        raise ValueError("Kofi has no address")


@pytest.mark.wrong("lab/python/concurrency.py:wrong_send_all")
def test_an_exception_stays_in_its_future(session: Session) -> None:
    assert wrong_send_all(send, ["Ama", "Kofi"]) == "all sent"
    assert send_all(send, ["Ama", "Esi"]) == "all sent"
    with pytest.raises(ValueError, match="no address"):
        send_all(send, ["Ama", "Kofi"])
    session("concurrency_send.pycon", wrong_send_all=wrong_send_all, send_all=send_all, send=send)


def test_a_running_thread_cannot_be_stopped() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        go_on.wait(10)
        return "done"

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        begun.wait(10)
        with pytest.raises(TimeoutError):
            future.result(timeout=0.05)
        assert not future.cancel()
        go_on.set()
        assert future.result() == "done"


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """A pool of two processes that begin empty."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.wrong("lab/python/concurrency.py:wrong_total")
def test_each_process_has_its_own_names(
    processes: ProcessPoolExecutor, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset(pool: Any, grades: list[int]) -> int:
        monkeypatch.setattr(concurrency, "total", 0)
        return wrong_total(pool, grades)

    assert part([71, 48]) == 119
    monkeypatch.setattr(concurrency, "total", 0)
    wrong_add(71)
    assert concurrency.total == 71
    with ThreadPoolExecutor(2) as threads:
        assert (reset(threads, [71, 48, 90]), reset(processes, [71, 48, 90])) == (209, 0)
        session("concurrency_total.pycon", wrong_total=reset, total_of=total_of, threads=threads, processes=processes)


@pytest.mark.slow
def test_a_process_takes_only_what_can_be_pickled(processes: ProcessPoolExecutor) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        processes.submit(lambda: 1).result()


def test_names_go_through_a_queue() -> None:
    drawn: list[str] = []

    def draw(learner: str) -> None:
        send(learner)
        drawn.append(learner)

    names = [f"learner {number}" for number in range(50)]
    [(name, error)] = draw_all(draw, [*names, "Kofi"])
    assert (name, str(error)) == ("Kofi", "Kofi has no address")
    assert sorted(drawn) == sorted(names)
    failed = draw_all(send, ["Kofi"] * 50, workers=2)
    assert [name for name, _ in failed] == ["Kofi"] * 50, "workers outlive what they fail at"


def test_a_fast_producer_waits_for_slow_workers() -> None:
    drawn: list[str] = []
    too_far = threading.Event()

    def draw(learner: str) -> None:
        too_far.wait(0.3)  # in vain: ten names in the queue, one here, one waiting to get in
        drawn.append(learner)

    def learners() -> Iterator[str]:
        yield from map(str, range(12))
        assert drawn
        too_far.set()
        yield "Ama"

    assert draw_all(draw, learners(), workers=1) == []
    assert len(drawn) == 13


def test_the_workers_stop_when_the_producer_fails() -> None:
    def learners() -> Iterator[str]:
        yield "Ama"
        raise ConnectionError("the database went away")

    before = threading.active_count()
    with pytest.raises(ConnectionError):
        draw_all(send, learners())
    assert threading.active_count() == before


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Queue.shutdown() came with Python 3.13")
def test_a_queue_can_be_shut_down() -> None:
    names: Any = queue.Queue()
    names.put("Ama")
    names.shutdown()
    assert names.get() == "Ama"
    with pytest.raises(queue.ShutDown):  # type: ignore[attr-defined]
        names.get()
