"""A service that does not answer: who waits for it, how often it is asked, and what is left for the rest."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from itertools import islice
from random import Random
from threading import Event
from typing import TYPE_CHECKING

import pytest

from lab.asynchronous.upstream import ask, running
from lab.system_design.failure_modes import (
    Breaker,
    Bulkhead,
    GaveUpError,
    LastGood,
    NoPlaceError,
    NotAskedError,
    delay,
    retry,
    wrong_retry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.asynchronous.upstream import Upstream
    from tests.recording.files import Recorder

SHORT = 0.05  # seconds until a caller gives up on a service that says nothing
LATER = 20


@pytest.fixture
def silent() -> Iterator[Upstream]:
    """A service that answers /held/NAME when the test says so, which it does at the end."""
    with running() as upstream:
        yield upstream
        upstream.release_all(set(upstream.seen))


def test_a_timeout_gives_the_thread_back(silent: Upstream) -> None:
    with pytest.raises(TimeoutError):
        ask(f"{silent.url}/held/ama", timeout=SHORT)
    silent.arrived(1)
    assert not silent.done, "the service works on for somebody who has gone"
    silent.release("ama")
    silent.finished(1)


@pytest.mark.wrong("lab/system_design/failure_modes.py:wrong_retry")
def test_retries_multiply(silent: Upstream, record: Recorder) -> None:
    lines = ["| Layers that retry, each three attempts | Requests that the silent service got |", "| --- | ---: |"]
    counts = []
    before = 0
    for layers in (0, 1, 2, 3):
        call: Callable[[], str] = partial(ask, f"{silent.url}/held/ama", timeout=SHORT)
        for _ in range(layers):
            call = partial(wrong_retry, call)
        with pytest.raises(OSError, match="timed out"):
            call()
        silent.arrived(before + 3**layers)
        counts.append(len(silent.seen) - before)
        before = len(silent.seen)
        lines.append(f"| {layers} | {counts[-1]} |")
    assert counts == [1, 3, 9, 27]
    call = partial(ask, f"{silent.url}/held/ama", timeout=SHORT)
    for _ in range(3):
        call = partial(retry, call, lambda _: None)
    with pytest.raises(GaveUpError):
        call()
    silent.arrived(before + 3)
    assert len(silent.seen) == before + 3
    lines.append("| 3, with `retry` | 3 |")
    record("failure_modes_retries.md", "\n".join(lines))


def test_a_retry_helps_when_the_failure_was_short() -> None:
    told: list[int] = []

    def call() -> str:
        if len(told) < 2:  # the first two attempts fail
            raise ConnectionResetError
        return "here"

    assert retry(call, told.append) == "here"
    assert told == [1, 2]
    assert wrong_retry(lambda: "here") == "here"


def test_jitter_spreads_a_herd(record: Recorder) -> None:
    chance = Random(2026)  # noqa: S311  (a simulation, no secret)
    lines = ["| Attempt | Same delay for all | With jitter |", "| ---: | ---: | ---: |"]
    for attempt in (3, 5, 7):
        slots = Counter(int(delay(attempt, chance) * 10) for _ in range(1000))
        most = max(slots.values())
        assert most < 3 * 1000 / min(100, 2**attempt), "at most ten seconds are shared out"
        lines.append(f"| {attempt} | 1,000 | {most} |")
    record("failure_modes_jitter.md", "\n".join(lines))


def test_a_breaker_asks_three_times_and_then_now_and_then(silent: Upstream, record: Recorder) -> None:
    now = [0.0]
    breaker = Breaker(failures=3, pause=5, clock=lambda: now[0])
    lines = ["| Second | What happens | Requests that the service got so far |", "| ---: | --- | ---: |"]

    def at(second: float, what: str, times: int, path: str, expected: list[str], arrived: int) -> None:
        now[0] = second
        seen = []
        for _ in range(times):
            try:
                seen.append(
                    breaker.call(partial(ask, f"{silent.url}/{path}", timeout=SHORT if "held" in path else LATER))
                )
            except NotAskedError:
                seen.append("not asked")
            except OSError:
                seen.append("no answer")
        assert seen == expected
        silent.arrived(arrived)
        assert len(silent.seen) == arrived
        lines.append(f"| {second:g} | {what} | {arrived} |")

    at(0, "10 calls, the service is silent", 10, "held/ama", ["no answer"] * 3 + ["not asked"] * 7, 3)
    at(4, "10 calls", 10, "held/ama", ["not asked"] * 10, 3)
    at(6, "10 calls: one is a trial", 10, "held/ama", ["no answer"] + ["not asked"] * 9, 4)
    at(12, "10 calls, the service answers again", 10, "0/ama", ["ama"] * 10, 14)
    record("failure_modes_breaker.md", "\n".join(lines))


def test_while_one_tries_the_others_do_not() -> None:
    now = [0.0]
    breaker = Breaker(failures=1, pause=5, clock=lambda: now[0])
    with pytest.raises(ConnectionError):
        breaker.call(_fail)
    now[0] = 6.0

    def trial() -> str:
        with pytest.raises(NotAskedError):  # another thread asks meanwhile
            breaker.call(lambda: "me too")
        return "back"

    assert [breaker.call(trial), breaker.call(lambda: "all")] == ["back", "all"]


def _fail() -> str:
    raise ConnectionError


def test_a_slow_service_takes_the_threads_of_everybody(silent: Upstream, record: Recorder) -> None:
    """Four threads, four requests that wait, and one for a page that needs nothing of the slow service."""
    lines = ["| Four threads, six requests that need the silent service | The catalog |", "| --- | --- |"]
    free = Event()

    def held(number: int) -> str:
        return ask(f"{silent.url}/held/{number}")

    with ThreadPoolExecutor(4) as server:
        waiting = [server.submit(held, number) for number in range(6)]
        silent.arrived(4)
        catalog = server.submit(free.set)
        assert not free.wait(0.3)
        lines.append(f"| without a limit: {len(silent.seen)} wait | {'answered' if catalog.done() else 'waits too'} |")
        silent.release_all(map(str, range(6)))
        assert [future.result(LATER) for future in waiting] == list("012345")
        catalog.result(LATER)

    bulkhead = Bulkhead(2)
    before = len(silent.seen)
    with ThreadPoolExecutor(4) as server:
        waiting = [server.submit(bulkhead.call, partial(held, number)) for number in range(10, 16)]
        silent.arrived(before + 2)
        server.submit(lambda: "catalog").result(LATER)
        refused = sum(isinstance(f.exception(), NoPlaceError) for f in islice(as_completed(waiting, LATER), 4))
        silent.release_all(map(str, range(10, 16)))
        answered = sum(future.exception(LATER) is None for future in waiting)
    assert (answered, refused) == (2, 4)
    assert [bulkhead.call(lambda: "a place again") for _ in range(3)] == ["a place again"] * 3
    lines.append(f"| `Bulkhead(2)`: {answered} wait, {refused} are refused at once | answered |")
    record("failure_modes_bulkhead.md", "\n".join(lines))


def test_the_last_good_answer_says_that_it_is_old(silent: Upstream) -> None:
    quotes = LastGood("nothing yet")
    assert quotes.call(partial(ask, f"{silent.url}/0/first", LATER)) == ("first", "fresh")
    assert quotes.call(partial(ask, f"{silent.url}/held/second", SHORT)) == ("first", "as of earlier")
