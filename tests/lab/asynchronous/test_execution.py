"""Who waits, on which thread, and for how long: the same three calls in three ways."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING

import pytest

from lab.asynchronous import execution
from lab.asynchronous.execution import as_coroutines, clocks, in_threads, one_after_another, wrong_as_coroutines
from lab.asynchronous.upstream import PATIENCE, Upstream, aask, ask, running
from scripts.pages import ROOT
from tests.recording.chart import words
from tests.recording.diagram import draw, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

TICKS = {"Ama": 3, "Kofi": 1, "Esi": 2}  # how long the server takes for each answer
WAYS: dict[str, tuple[Callable[[list[str]], list[str]], int]] = {
    "One after another": (one_after_another, 1),
    "In threads": (in_threads, 3),
    "As coroutines": (lambda urls: asyncio.run(as_coroutines(urls)), 3),
}


@dataclass
class Run:
    """One run of three calls, and the server's clock, which goes on when all that can be asked is asked.

    Attributes:
        upstream: The server.
        together: How many requests the code under test has under way at a time.
        clock: The ticks so far.
        events: (tick, thread, "sends" or "reads", name), in the order in which they happened.
    """

    upstream: Upstream
    together: int
    clock: int = 0
    events: list[tuple[int, int, str, str]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def note(self, what: str, url: str) -> None:
        """Note what this thread does."""
        with self.changed:
            self.events.append((self.clock, threading.get_ident(), what, url.rpartition("/")[2]))
            self.changed.notify_all()

    def ask(self, url: str) -> str:
        """Ask the server, and note when."""
        self.note("sends", url)
        answer = ask(url)
        self.note("reads", url)
        return answer

    async def aask(self, url: str) -> str:
        """Ask the server without blocking, and note when."""
        self.note("sends", url)
        answer = await aask(url)
        self.note("reads", url)
        return answer

    def names(self, what: str) -> dict[str, int]:
        """Return which requests were sent or read so far, and at which tick."""
        return {name: tick for tick, _, done, name in self.events if done == what}

    def has_read(self, name: str) -> None:
        """Return when the answer has been read."""
        with self.changed:
            assert self.changed.wait_for(lambda: name in self.names("reads"), PATIENCE), name

    def conduct(self) -> None:
        """Be the server's clock: count a tick when the requests have arrived, and answer those whose time has come."""
        while (read := len(self.names("reads"))) < len(TICKS):
            self.upstream.arrived(read + min(self.together, len(TICKS) - read))
            self.clock += 1
            for name, sent in self.names("sends").items():
                if sent + TICKS[name] == self.clock:
                    self.upstream.release(name)
                    self.has_read(name)

    @property
    def threads(self) -> list[tuple[str, list[str]]]:
        """The name of each thread that asked, and for what, in the order of TICKS."""
        by: dict[int, list[str]] = {}
        for name in TICKS:
            by.setdefault(next(who for _, who, _, asked in self.events if asked == name), []).append(name)
        main = threading.main_thread().ident
        return [
            ("main thread" if who == main else f"thread {n}", names) for n, (who, names) in enumerate(by.items(), 1)
        ]


def timed(monkeypatch: pytest.MonkeyPatch, way: Callable[[list[str]], list[str]], together: int) -> Run:
    """Run the three calls in one way, against the server whose clock is under control."""
    with running() as upstream, ThreadPoolExecutor(1) as pool:
        run = Run(upstream, together)
        monkeypatch.setattr(execution, "ask", run.ask)
        monkeypatch.setattr(execution, "aask", run.aask)
        conducted = pool.submit(run.conduct)
        conducted.add_done_callback(lambda _: upstream.release_all(TICKS))  # a run that fails ends as well
        assert way([f"{upstream.url}/held/{name}" for name in TICKS]) == list(TICKS)
        conducted.result()
        assert upstream.most == together
    # Each request is read by the thread that sent it.
    assert len({(who, name) for _, who, _, name in run.events}) == len(TICKS)
    return run


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Run]:
    """The three calls, in each of the three ways."""
    return {title: timed(monkeypatch, way, together) for title, (way, together) in WAYS.items()}


def drawn(runs: dict[str, Run]) -> str:
    """Return the picture of the runs: a box for each thread, a bar for each request that it waits for."""
    unit, left, y = 56, 10, 0
    body: list[str] = []
    for title, run in runs.items():
        body.append(words(0, y + 16, f"{title}: {run.clock} ticks"))
        y += 26
        for thread, names in run.threads:
            rows: list[list[str]] = []
            for name in names:  # beside the one before, or below it if they overlap
                row = next((row for row in rows if run.names("reads")[row[-1]] <= run.names("sends")[name]), None)
                if row is None:
                    rows.append(row := [])
                row.append(name)
            height = 24 + 24 * len(rows)
            body.append(f'<rect x="0" y="{y}" width="356" height="{height}" fill="var(--nx-tint, none)"/>')
            body.append(words(6, y + 16, thread, size=13))
            for number, row in enumerate(rows):
                top = y + 22 + 24 * number
                for name in row:
                    start, end = (left + unit * run.names(what)[name] for what in ("sends", "reads"))
                    color = f"var(--nx-series-{list(TICKS).index(name) + 1}, currentColor)"
                    body.append(
                        f'<rect x="{start + 1}" y="{top}" width="{end - start - 2}" height="18" '
                        f'fill="none" stroke="{color}"/>'
                    )
                    for edge in (start + 1, end - 6):
                        body.append(f'<rect x="{edge}" y="{top}" width="5" height="18" fill="{color}"/>')
                    body.append(words(start + 10, top + 14, name, size=13))
            y += height + 4
        y += 10
    body.append(words(left, y + 12, "0", at="middle", size=13))
    body += [words(left + unit * tick, y + 12, str(tick), at="middle", size=13) for tick in range(1, 6)]
    body.append(words(left + unit * 6, y + 12, "6 ticks", at="end", size=13))
    return picture(
        "\n".join(body),
        360,
        y + 18,
        title="Three calls, three ways",
        description="One after another on the main thread: the wait for Ama from tick 0 to 3, for Kofi to 4, for Esi "
        "to 6. In threads: three threads, one wait each, all from tick 0, for Ama to 3, for Kofi to 1, for Esi to 2. "
        "As coroutines: the same three waits over the same ticks, all on the main thread.",
    )


def tabled(runs: dict[str, Run]) -> str:
    """Return what each thread did at each tick, as a Markdown table."""
    lines = ["| Tick | " + " | ".join(runs) + " |", "| --- |" + " --- |" * len(runs)]
    for tick in range(max(run.clock for run in runs.values()) + 1):
        cells = []
        for run in runs.values():
            did = [
                f"{thread} {', '.join(steps)}"
                for thread, names in run.threads
                if (steps := [f"{what} {name}" for at, _, what, name in run.events if at == tick and name in names])
            ]
            cells.append("; ".join(did))
        lines.append(f"| {tick} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def test_the_record_of_three_ways(runs: dict[str, Run], record: Recorder) -> None:
    record("execution_ways.svg", drawn(runs))
    record("execution_ways.md", tabled(runs))


def test_waits_add_up_one_after_another_and_overlap_otherwise(runs: dict[str, Run]) -> None:
    assert {title: run.clock for title, run in runs.items()} == {
        "One after another": sum(TICKS.values()),
        "In threads": max(TICKS.values()),
        "As coroutines": max(TICKS.values()),
    }
    assert {title: len(run.threads) for title, run in runs.items()} == {
        "One after another": 1,
        "In threads": 3,
        "As coroutines": 1,
    }


@pytest.mark.wrong("lab/asynchronous/execution.py:wrong_as_coroutines")
def test_async_def_alone_overlaps_nothing(monkeypatch: pytest.MonkeyPatch, runs: dict[str, Run]) -> None:
    wrong = timed(monkeypatch, lambda urls: asyncio.run(wrong_as_coroutines(urls)), together=1)
    assert wrong.events == runs["One after another"].events
    assert wrong.clock == sum(TICKS.values())


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server that waits as long as it is asked to."""
    with running() as upstream:
        yield upstream.url


def test_the_clock_of_the_thread_stands_still_while_it_waits(url: str, session: Callable[..., None]) -> None:
    ask(f"{url}/0/ama")  # the first request of a process prepares urllib, which is computing
    session("execution_clocks.pycon", url=url, clocks=clocks, ask=ask, pbkdf2_hmac=pbkdf2_hmac)


def test_the_record_of_the_loop(record: Recorder) -> None:
    dot = (ROOT / "lab/asynchronous/diagrams/execution_loop.dot").read_text(encoding="utf-8")
    record(
        "execution_loop.svg",
        draw(
            dot,
            title="One turn of an event loop",
            description="A queue of tasks that are ready. The loop runs the first to an await that has to wait; the "
            "task is then noted with what it waits for. When nothing is ready, the loop sleeps until the operating "
            "system reports a socket or a timer, which makes a waiting task ready. A running task can also make "
            "others ready, by starting them or by setting a lock free.",
        ),
    )
