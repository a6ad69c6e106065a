"""Threads and processes that share what they must not share, wrong on purpose."""

from __future__ import annotations

from multiprocessing import get_context
from typing import TYPE_CHECKING

from lab.asynchronous.threads_and_processes import count, name_of

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


# --8<-- [start:wrong_visits]
class Visits:
    """How often each course was visited."""

    def __init__(self) -> None:
        """Begin with none."""
        self.counts: dict[str, int] = {}

    def of(self, course: str) -> int:
        """Return the visits of a course."""
        return self.counts.get(course, 0)

    def add(self, course: str) -> None:
        """Count a visit."""
        self.counts[course] = self.of(course) + 1


# --8<-- [end:wrong_visits]


# --8<-- [start:wrong_names]
def wrong_names(pool: ThreadPoolExecutor, pks: list[int]) -> list[str]:
    """Look learners up in threads."""
    return list(pool.map(name_of, pks))


# --8<-- [end:wrong_names]


# --8<-- [start:wrong_count_apart]
def wrong_count_apart() -> None:
    """Count in another process."""
    child = get_context("fork").Process(target=count)
    child.start()
    child.join()


# --8<-- [end:wrong_count_apart]
