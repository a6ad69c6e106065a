"""A service that does not answer: who waits for it, how often it is asked, and what is left for the rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from email.message import Message
from functools import partial
from io import BytesIO
from itertools import islice
from random import Random
from threading import Event
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

from lab.asynchronous.upstream import ask, running
from lab.system_design import failure_modes
from lab.system_design.failure_modes import (
    Breaker,
    Bulkhead,
    GaveUpError,
    LastGood,
    NoAnswerError,
    NoPlaceError,
    NotAskedError,
    ask_in_time,
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
    with pytest.raises(NoAnswerError):
        ask_in_time(f"{silent.url}/held/ama", SHORT)
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
        call: Callable[[], str] = partial(ask_in_time, f"{silent.url}/held/ama", SHORT)
        for _ in range(layers):
            call = partial(wrong_retry, call)
        with pytest.raises(NoAnswerError, match="no answer"):
            call()
        silent.arrived(before + 3**layers)
        counts.append(len(silent.seen) - before)
        before = len(silent.seen)
        lines.append(f"| {layers} | {counts[-1]} |")
    assert counts == [1, 3, 9, 27]
    call = partial(ask_in_time, f"{silent.url}/held/ama", SHORT)
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
            raise NoAnswerError
        return "here"

    assert retry(call, told.append) == "here"
    assert told == [1, 2]
    assert wrong_retry(lambda: "here") == "here"


def test_the_delay_is_a_random_part_of_a_span_that_doubles() -> None:
    chance = Random(2026)  # noqa: S311  (a simulation, no secret)
    for attempt, span in ((1, 0.2), (3, 0.8), (7, 10), (20, 10)):
        delays = [delay(attempt, chance) for _ in range(1000)]
        assert 0 <= min(delays) < 0.1 * span
        assert 0.9 * span < max(delays) <= span


def test_an_answer_that_says_no_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def says(code: int) -> None:
        def answer(*_: object, **__: object) -> str:
            raise HTTPError("http://service/", code, "no", Message(), BytesIO())

        monkeypatch.setattr(failure_modes, "ask", answer)

    says(404)
    breaker = Breaker(failures=1, pause=5)
    pauses: list[int] = []
    for _ in range(2):  # neither does the breaker open, nor is it tried again
        with pytest.raises(HTTPError) as caught:
            retry(lambda: breaker.call(lambda: ask_in_time("/", SHORT)), pauses.append)
        caught.value.close()
    assert pauses == []
    says(503)
    with pytest.raises(NoAnswerError, match="status 503"):
        ask_in_time("/", SHORT)


def test_retry_around_breaker_around_bulkhead(silent: Upstream) -> None:
    breaker, bulkhead = Breaker(failures=3, pause=5), Bulkhead(1)

    def call() -> str:
        return retry(
            lambda: breaker.call(lambda: bulkhead.call(lambda: ask_in_time(f"{silent.url}/held/ama", SHORT))),
            lambda _: None,
        )

    with pytest.raises(GaveUpError, match="3 attempts") as caught:
        call()
    assert str(caught.value.__cause__) == "no answer"
    silent.arrived(3)
    with pytest.raises(NotAskedError):  # open by now, and a refusal is not tried again
        call()
    assert len(silent.seen) == 3
    breaker = Breaker(failures=1, pause=5)
    with pytest.raises(NoPlaceError):
        breaker.call(lambda: Bulkhead(0).call(lambda: "here"))
    with pytest.raises(NotAskedError):  # a full bulkhead counts as a failure
        breaker.call(lambda: "here")


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
                    breaker.call(partial(ask_in_time, f"{silent.url}/{path}", SHORT if "held" in path else LATER))
                )
            except NotAskedError:
                seen.append("not asked")
            except NoAnswerError:
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
    with pytest.raises(NoAnswerError):
        breaker.call(_fail)
    now[0] = 6.0

    def trial() -> str:
        with pytest.raises(NotAskedError):  # another thread asks meanwhile
            breaker.call(lambda: "me too")
        return "back"

    assert [breaker.call(trial), breaker.call(lambda: "all")] == ["back", "all"]


def _fail() -> str:
    raise NoAnswerError


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
    assert quotes.call(partial(ask_in_time, f"{silent.url}/0/first", LATER)) == ("first", "fresh")
    assert quotes.call(partial(ask_in_time, f"{silent.url}/held/second", SHORT)) == ("first", "as of earlier")
