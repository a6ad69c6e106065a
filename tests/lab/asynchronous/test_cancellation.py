"""What a timeout stops, what swallows it, and what goes on all the same."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from lab.asynchronous import cancellation
from lab.asynchronous.cancellation import (
    fail,
    fetch,
    in_thread,
    limited,
    log,
    pay,
    report,
    retry,
    shop,
    tidy,
    wrong_in_thread,
    wrong_report,
    wrong_retry,
    wrong_tidy,
)
from lab.asynchronous.upstream import Upstream, running
from scripts.services import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    Session = Callable[..., None]


@pytest.fixture(autouse=True)
def empty_log() -> Iterator[None]:
    """Begin and end with nothing in the log."""
    log.clear()
    yield
    log.clear()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server that answers when it is told to."""
    with running() as server:
        yield server


class SlowStart(asyncio.SelectorEventLoop):
    """An event loop whose clock starts when so many requests have arrived: a busy machine sends them late."""

    upstream: Upstream
    needed = 1

    def __init__(self) -> None:
        self.before = len(self.upstream.seen)
        self.started: float | None = None
        super().__init__()

    def time(self) -> float:
        """Return the seconds since they arrived."""
        if len(self.upstream.seen) < self.before + self.needed:
            return 0
        if self.started is None:
            self.started = super().time()
        return super().time() - self.started


@pytest.fixture
def slow_start(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> type[SlowStart]:
    """Let ``asyncio.run`` begin to count time when a request has arrived."""
    monkeypatch.setattr(SlowStart, "upstream", upstream, raising=False)
    monkeypatch.setattr(asyncio.events, "new_event_loop", SlowStart)
    return SlowStart


@pytest.fixture
def names(upstream: Upstream, slow_start: type[SlowStart]) -> dict[str, Any]:
    """What the recorded sessions name."""
    url = f"{upstream.url}/held/kofi"
    return {**vars(cancellation), "upstream": upstream, "base": upstream.url, "url": url}


# A timeout


def test_a_timeout_cancels_at_the_await(names: dict[str, Any], session: Session) -> None:
    session("cancellation_timeout.pycon", **names)


def test_what_was_sent_is_done_all_the_same(names: dict[str, Any], session: Session) -> None:
    session("cancellation_sent.pycon", **names)


def test_computing_is_not_interrupted(session: Session) -> None:
    session("cancellation_computing.pycon", **vars(cancellation))
    assert log == ["computed"]


def test_one_deadline_holds_for_all_that_is_in_its_block(
    upstream: Upstream, slow_start: type[SlowStart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_start, "needed", 2)

    async def both() -> str:
        return await fetch(f"{upstream.url}/0/ama") + await fetch(f"{upstream.url}/held/kofi")

    assert asyncio.run(limited(both(), 0.1)) == "no answer"
    assert log == ["asks", "reads the answer", "cleans up", "asks", "canceled at the await", "cleans up"]


# Swallowed


@pytest.mark.wrong("lab/asynchronous/cancellation.py:wrong_retry")
def test_a_swallowed_cancellation_overruns_the_timeout(
    upstream: Upstream, names: dict[str, Any], session: Session
) -> None:
    def release() -> None:
        upstream.arrived(2)  # the second comes after the timeout
        upstream.release("kofi")

    with ThreadPoolExecutor(1) as pool:
        released = pool.submit(release)
        session("cancellation_swallowed.pycon", **names)
        released.result()
    assert upstream.seen == ["kofi", "kofi", "esi"]


def test_except_exception_lets_a_cancellation_pass() -> None:
    async def careless() -> None:
        with suppress(Exception):
            await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(careless())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.wrong("lab/asynchronous/cancellation.py:wrong_tidy")
def test_a_wait_while_cleaning_up_has_no_limit(upstream: Upstream, names: dict[str, Any], session: Session) -> None:
    session("cancellation_tidy.pycon", **names)


def test_cleaning_up_ends_and_stays_canceled(upstream: Upstream) -> None:
    async def main() -> None:
        work = tidy(f"{upstream.url}/held/kofi", f"{upstream.url}/held/never")
        task = asyncio.create_task(work)
        await asyncio.to_thread(upstream.arrived, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert upstream.done == []


# Shielded


def test_a_shielded_task_goes_on(names: dict[str, Any], session: Session) -> None:
    session("cancellation_shield.pycon", **names)
    assert not cancellation.paying


def test_a_shield_does_not_outlive_the_loop(upstream: Upstream, slow_start: type[SlowStart]) -> None:
    asyncio.run(limited(pay(f"{upstream.url}/held/kofi"), 0.1))
    assert log == ["asks", "canceled at the await", "cleans up"]


# Groups


@pytest.mark.wrong("lab/asynchronous/cancellation.py:wrong_report")
def test_a_plain_except_does_not_look_into_a_group(names: dict[str, Any], session: Session) -> None:
    session("cancellation_groups.pycon", **names)
    with pytest.raises(ExceptionGroup):
        asyncio.run(wrong_report(names["url"]))


def test_the_sibling_is_canceled_before_the_group_raises(upstream: Upstream) -> None:
    asyncio.run(report(f"{upstream.url}/held/kofi"))
    assert log.index("canceled at the await") < next(n for n, line in enumerate(log) if line.startswith("unknown"))


# Threads


@pytest.mark.wrong("lab/asynchronous/cancellation.py:wrong_in_thread")
def test_a_thread_goes_on_after_the_timeout(names: dict[str, Any], session: Session) -> None:
    session("cancellation_thread.pycon", **names)


def test_the_blocking_call_needs_a_limit_of_its_own(names: dict[str, Any], session: Session) -> None:
    session("cancellation_thread_limit.pycon", **names)


def test_the_end_of_the_run_waits_for_the_thread(upstream: Upstream) -> None:
    over = threading.Event()

    def run() -> None:
        asyncio.run(wrong_in_thread(f"{upstream.url}/held/other", lambda _: None))
        over.set()

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(1000):
        if "loop: goes on" in log:
            break
        time.sleep(0.01)
    assert not over.wait(0.3)
    upstream.release("other")
    assert over.wait(10)
    thread.join()
    assert log[-1] == "thread: is free"


def test_waits_that_are_answered_in_time(upstream: Upstream) -> None:
    url = f"{upstream.url}/held/kofi"
    upstream.release("kofi")

    async def shops() -> None:
        cancellation.paying.add(asyncio.create_task(fetch(url)))
        await shop(url, upstream.release)

    for work in (retry(url), wrong_retry(url), tidy(url, url), wrong_tidy(url, url)):
        assert asyncio.run(limited(work, 9)) == "kofi"
    asyncio.run(shops())
    cancellation.paying.clear()
    asyncio.run(in_thread(url))
    assert log[-2:] == ["kofi", "loop: goes on"]
    asyncio.run(wrong_in_thread(url, upstream.release))
    assert log[-2:] == ["kofi", "loop: goes on"]


@pytest.mark.parametrize("ask_again", [retry, wrong_retry])
def test_a_refused_connection_is_tried_three_times(ask_again: Callable[[str], Coroutine[None, None, str]]) -> None:
    assert asyncio.run(ask_again(f"http://127.0.0.1:{free_port()}/0/kofi")) == "given up"
    assert log == ["once more, after ConnectionRefusedError"] * 3


def test_a_plain_except_takes_a_plain_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "calls", lambda _: fail(LookupError("no such learner")))
    asyncio.run(wrong_report("url"))
    assert log == ["unknown: no such learner"]
