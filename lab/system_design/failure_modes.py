"""How one failure becomes many, and what keeps it one: limits on waiting, retries and room."""

from __future__ import annotations

from collections.abc import Callable
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import TYPE_CHECKING, TypeVar
from urllib.error import HTTPError

from lab.asynchronous.upstream import ask

if TYPE_CHECKING:
    from random import Random

Answer = TypeVar("Answer")
Call = Callable[[], Answer]


# --8<-- [start:ask]
class NoAnswerError(Exception):
    """The other side did not answer; another time it may."""


def ask_in_time(url: str, seconds: float) -> str:
    """Return the answer; what only this request got wrong stays an HTTPError."""
    try:
        return ask(url, timeout=seconds)
    except HTTPError as error:
        if error.code < 500:
            raise
        error.close()
        raise NoAnswerError(f"status {error.code}") from error
    except OSError as error:  # no connection, or silence
        raise NoAnswerError("no answer") from error


# --8<-- [end:ask]


# --8<-- [start:wrong_retry]
def wrong_retry(call: Call[Answer], attempts: int = 3) -> Answer:
    """Return the answer of the first attempt that has one."""
    for _ in range(attempts - 1):
        try:
            return call()
        except NoAnswerError:
            continue
    return call()


# --8<-- [end:wrong_retry]


# --8<-- [start:retry]
class GaveUpError(NoAnswerError):
    """A layer below has tried already, or will not ask now: do not try again."""


def retry(
    call: Call[Answer], pause: Callable[[int], None], attempts: int = 3
) -> Answer:
    """Return the answer of the first attempt that has one; only one layer retries."""
    failed: NoAnswerError | None = None
    for attempt in range(attempts):
        if attempt:
            pause(attempt)
        try:
            return call()
        except GaveUpError:
            raise
        except NoAnswerError as error:
            failed = error
    raise GaveUpError(f"no answer in {attempts} attempts") from failed


def delay(attempt: int, chance: Random, base: float = 0.1, most: float = 10) -> float:
    """Return how many seconds to pause: a random part of a span that doubles."""
    return chance.uniform(0, min(most, base * 2**attempt))


# --8<-- [end:retry]


# --8<-- [start:breaker]
class NotAskedError(GaveUpError):
    """The other side was asked often enough without an answer: it is left alone."""


class Breaker:
    """Lets calls through until several in a row failed; then one every few seconds."""

    def __init__(
        self, failures: int, pause: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self.failures, self.pause, self.clock = failures, pause, clock
        self.failed = 0
        self.next_try = 0.0
        self.lock = Lock()

    def call(self, call: Call[Answer]) -> Answer:
        """Return what the call returns."""
        with self.lock:  # one tries, the others do not
            if self.failed >= self.failures:
                if self.clock() < self.next_try:
                    raise NotAskedError("not asked")
                self.next_try = self.clock() + self.pause
        try:
            answer = call()
        except NoAnswerError:
            with self.lock:
                self.failed += 1
                self.next_try = self.clock() + self.pause
            raise
        self.failed = 0
        return answer


# --8<-- [end:breaker]


# --8<-- [start:bulkhead]
class NoPlaceError(GaveUpError):
    """As many as may wait for the other side are waiting."""


class Bulkhead:
    """Lets a few threads wait for the other side, so that some are left for the rest."""

    def __init__(self, places: int) -> None:
        self.places = BoundedSemaphore(places)

    def call(self, call: Call[Answer]) -> Answer:
        """Return what the call returns, if there is a place."""
        if not self.places.acquire(blocking=False):
            raise NoPlaceError("no place")
        try:
            return call()
        finally:
            self.places.release()


# --8<-- [end:bulkhead]


# --8<-- [start:fallback]
class LastGood:
    """Answers with what was true before, and says so."""

    def __init__(self, first: str) -> None:
        self.kept = first

    def call(self, call: Call[str]) -> tuple[str, str]:
        """Return an answer, and whether it is fresh."""
        try:
            self.kept = call()
        except NoAnswerError:
            return self.kept, "as of earlier"
        return self.kept, "fresh"


# --8<-- [end:fallback]
