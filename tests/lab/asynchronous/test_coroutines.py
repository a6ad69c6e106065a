"""What runs, what is lost, what is canceled, and which tool says so."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from lab.asynchronous import coroutines, coroutines_samples
from lab.asynchronous.coroutines import (
    WithRequest,
    all_handled,
    bounded,
    fail,
    first,
    gathered,
    grade,
    grouped,
    keep,
    log,
    logger,
    pages,
    queued,
    wrong_first,
    wrong_lost,
)
from lab.asynchronous.upstream import running
from scripts.pages import ROOT
from scripts.proof import sections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from pathlib import Path

    from tests.recording.files import Recorder

    Session = Callable[..., None]

SAMPLE = "lab/asynchronous/coroutines_samples.py"
CHECK = """\
import asyncio

from forgotten import publish


def test_esi_may_publish():
    assert asyncio.run(publish("Esi")) == "published"
"""


@pytest.fixture(autouse=True)
def empty_log() -> Iterator[None]:
    """Begin and end with nothing in the log."""
    log.clear()
    yield
    log.clear()


# The forgotten await


def forgotten(folder: Path) -> None:
    """Write the sample into a folder, without the comments that silence the lab's own checks, and a test of it."""
    text = (ROOT / SAMPLE).read_text(encoding="utf-8")
    lines = [text.splitlines()[number - 1] for number in sections(text)["wrong_publish"]]
    code = re.sub(r"  # (type: ignore|noqa).*", "", "\n".join(lines) + "\n")
    (folder / "forgotten.py").write_text(code, encoding="utf-8")
    (folder / "test_forgotten.py").write_text(dedent(CHECK), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.wrong("lab/asynchronous/coroutines_samples.py:wrong_publish")
def test_three_tools_find_it(tmp_path: Path, shell: Callable[..., None]) -> None:
    forgotten(tmp_path)
    shell("coroutines_forgotten.console", MYPY_CACHE_DIR="/dev/null", RUFF_NO_CACHE="true")


@pytest.mark.slow
def test_pytest_fails_where_warnings_are_errors(tmp_path: Path, shell: Callable[..., None]) -> None:
    forgotten(tmp_path)
    shell("coroutines_pytest.console", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", COLUMNS="100")


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.wrong("lab/asynchronous/coroutines_samples.py:wrong_publish")
def test_a_forgotten_await_lets_everybody_publish(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(coroutines_samples.may_publish("Kofi")) is False
    assert asyncio.run(coroutines_samples.publish("Kofi")) == "published"
    runpy.run_path(str(ROOT / SAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    assert "published" in printed
    assert "Ama" not in printed


def test_a_coroutine_is_an_object_that_runs_once(session: Session) -> None:
    session("coroutines_object.pycon", asyncio=asyncio, fail=fail)


# The lost task


@pytest.mark.wrong("lab/asynchronous/coroutines.py:wrong_lost")
def test_four_ways_to_lose_a_task(session: Session) -> None:
    session("coroutines_lost.pycon", asyncio=asyncio, wrong_lost=wrong_lost, log=log)
    assert log == [
        "Task exception was never retrieved",
        "Task was destroyed but it is pending!",
        "timer: is there",
        "long timer: canceled",
    ]


def test_a_kept_task_is_held_until_it_is_done() -> None:
    async def main() -> None:
        ready = asyncio.Event()
        task = keep(grade("Ama", ready))
        await asyncio.sleep(0)
        assert coroutines.background == {task}
        ready.set()
        await task
        await asyncio.sleep(0)
        assert not coroutines.background

    asyncio.run(main())
    assert log == ["Ama: begins", "Ama: ends"]


# Groups


def test_gather_lets_the_others_run_on_and_a_group_cancels_them(session: Session) -> None:
    session("coroutines_failing.pycon", asyncio=asyncio, gathered=gathered, grouped=grouped, log=log)


def test_after_a_failed_gather_the_other_goes_on_behind_the_back() -> None:
    asyncio.run(gathered(asyncio.Event()))
    assert log.index("caught: no such learner") < log.index("Ama: ends")


def test_a_group_leaves_nothing_behind() -> None:
    asyncio.run(grouped(asyncio.Event()))
    assert log.index("Ama: canceled") < log.index("caught: (LookupError('no such learner'),)")


# Bounds


def test_the_record_of_bounds(session: Session) -> None:
    with running() as upstream:
        session("coroutines_bounded.pycon", asyncio=asyncio, bounded=bounded, queued=queued, upstream=upstream)


@pytest.mark.parametrize("way", [bounded, queued])
def test_no_more_than_the_limit_at_a_time(way: Callable[[list[str], int], Coroutine[None, None, list[str]]]) -> None:
    with running() as upstream, ThreadPoolExecutor(1) as pool:
        names = [f"{number:02}" for number in range(12)]

        def release() -> None:
            upstream.arrived(4)
            for name in names:
                upstream.release(name)

        released = pool.submit(release)
        answers = asyncio.run(way([f"{upstream.url}/held/{name}" for name in names], 4))
        released.result()
        assert sorted(answers) == names
        assert upstream.most == 4


@pytest.mark.filterwarnings("error")
def test_a_worker_that_fails_cancels_the_others_and_the_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def aask(url: str) -> str:
        asked.append(url)
        if url == "bad":
            raise LookupError
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(coroutines, "aask", aask)
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(queued(["good", "bad", *["later"] * 10], workers=2))
    assert [type(error) for error in raised.value.exceptions] == [LookupError]
    assert asked == ["good", "bad"]


# Generators


@pytest.mark.wrong("lab/asynchronous/coroutines.py:wrong_first")
def test_a_generator_that_is_left_closes_late(session: Session) -> None:
    session("coroutines_closing.pycon", asyncio=asyncio, wrong_first=wrong_first, first=first, log=log)
    assert log[-2:] == ["closed", "next step"]
    log.clear()
    asyncio.run(wrong_first())
    assert log[-3:] == ["next step", "closed", "step after that"]


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="not run on 3.12, and the page says nothing of it")
def test_python_3_11_does_not_close_it_when_the_run_is_over_first() -> None:
    async def main() -> None:
        async for _ in pages():
            break

    asyncio.run(main())
    assert log == (["open", "closed"] if sys.version_info >= (3, 13) else ["open"])


# Context


def test_each_task_has_a_request_id_of_its_own(record: Recorder) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(WithRequest())
    handler.setFormatter(logging.Formatter("[%(request_id)s] %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with running() as upstream:
            asyncio.run(all_handled(upstream.url, upstream.release))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    record("coroutines_context.txt", stream.getvalue())


def test_run_in_executor_does_not_take_the_context_along() -> None:
    async def main() -> tuple[str, str]:
        coroutines.request_id.set("r1")
        in_thread = await asyncio.to_thread(coroutines.request_id.get)
        return in_thread, await asyncio.get_running_loop().run_in_executor(None, coroutines.request_id.get)

    assert asyncio.run(main()) == ("r1", "-")


# The loop


def test_a_loop_runs_in_no_other() -> None:
    async def main(inner: Awaitable[None]) -> None:
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            asyncio.run(inner)  # type: ignore[arg-type]

    inner = fail()
    asyncio.run(main(inner))
    inner.close()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="3.14 made it an error")
def test_there_is_no_loop_to_get() -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_event_loop()
