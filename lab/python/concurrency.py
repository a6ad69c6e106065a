"""Several things at once: pools, a lock, a queue, and what each of them keeps apart."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from concurrent.futures import Executor

    Fetch = Callable[[str], Coroutine[None, None, int]]


# --8<-- [start:one_by_one]
def one_by_one(fetch: Callable[[str], int], slugs: Iterable[str]) -> list[int]:
    """Ask for one course after the other."""
    return [fetch(slug) for slug in slugs]


# --8<-- [end:one_by_one]


# --8<-- [start:in_threads]
def in_threads(fetch: Callable[[str], int], slugs: Iterable[str]) -> list[int]:
    """Ask for up to three courses at once."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        return list(pool.map(fetch, slugs))


# --8<-- [end:in_threads]


# --8<-- [start:in_coroutines]
async def in_coroutines(fetch: Fetch, slugs: Iterable[str]) -> list[int]:
    """Ask for all courses at once; fetch is an `async def`."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(slug)) for slug in slugs]
    return [task.result() for task in tasks]


# --8<-- [end:in_coroutines]


# --8<-- [start:wrong_course]
class WrongCourse:
    """A course that gives away its seats, and tells somebody about each."""

    def __init__(self, seats: int, tell: Callable[[str], object]) -> None:
        self.left = seats
        self.tell = tell

    def enroll(self, learner: str) -> bool:
        """Take a seat, and say whether there was one."""
        left = self.left
        if left == 0:
            return False
        self.tell(learner)
        self.left = left - 1
        return True


# --8<-- [end:wrong_course]


# --8<-- [start:course]
class Course:
    """A course that gives away its seats one at a time."""

    def __init__(self, seats: int, tell: Callable[[str], object]) -> None:
        self.left = seats
        self.tell = tell
        self.lock = threading.Lock()

    def enroll(self, learner: str) -> bool:
        """Take a seat, and say whether there was one."""
        with self.lock:
            if self.left == 0:
                return False
            self.left -= 1
        self.tell(learner)
        return True


# --8<-- [end:course]


# --8<-- [start:wrong_send_all]
def wrong_send_all(send: Callable[[str], object], learners: Iterable[str]) -> str:
    """Send to everybody, or so it says."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        for learner in learners:
            pool.submit(send, learner)
    return "all sent"


# --8<-- [end:wrong_send_all]


# --8<-- [start:send_all]
def send_all(send: Callable[[str], object], learners: Iterable[str]) -> str:
    """Send to everybody; raise what went wrong first."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        futures = [pool.submit(send, learner) for learner in learners]
    for future in futures:
        future.result()
    return "all sent"


# --8<-- [end:send_all]


# --8<-- [start:wrong_total]
total = 0


def wrong_add(grade: int) -> None:
    """Add a grade to the total of this process."""
    global total
    total += grade


def wrong_total(pool: Executor, grades: Iterable[int]) -> int:
    """Add up grades, or so it seems."""
    list(pool.map(wrong_add, grades))
    return total


# --8<-- [end:wrong_total]


# --8<-- [start:total]
def part(grades: list[int]) -> int:
    """Return what one process is asked for."""
    return sum(grades)


def total_of(pool: Executor, parts: Iterable[list[int]]) -> int:
    """Add up what the processes send back."""
    return sum(pool.map(part, parts))


# --8<-- [end:total]


# --8<-- [start:queue]
def draw_all(
    draw: Callable[[str], object], learners: Iterable[str], workers: int = 2
) -> list[tuple[str, Exception]]:
    """Draw certificates in a few threads; return for whom that failed, and why."""
    names: queue.Queue[str | None] = queue.Queue(maxsize=10)
    failed: list[tuple[str, Exception]] = []

    def work() -> None:
        while (name := names.get()) is not None:
            try:
                draw(name)
            except Exception as error:  # a worker that ends draws no more
                failed.append((name, error))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for name in learners:
            names.put(name)  # waits while ten names are there
    finally:
        for _ in threads:
            names.put(None)  # tells one worker to stop
        for thread in threads:
            thread.join()
    return failed


# --8<-- [end:queue]
