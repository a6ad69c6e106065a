"""Context managers: what is undone when a block fails, and when it is not."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, transaction

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.python import context_managers
from lab.python.context_managers import (
    Held,
    WrongChanges,
    borrowed,
    buy,
    clean,
    held,
    logged,
    merge,
    wrong_clean,
    wrong_held,
    wrong_logged,
    wrong_merge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.recording.files import Recorder

    Session = Callable[..., None]

NAMES = vars(context_managers)


def fail() -> None:
    """Fail as a block of a page does."""
    raise ConnectionError("the bank does not answer")


def test_the_exit_runs_when_the_block_fails_and_when_it_does_not(session: Session) -> None:
    session("context_managers_held.pycon", **NAMES)
    seats = {1, 2}
    with Held(seats, 1) as seat:
        assert (seat, seats) == (1, {2})
    assert seats == {1, 2}


def test_the_exit_runs_on_return_too() -> None:
    seats = {1}

    def leave() -> int:
        with Held(seats, 1) as seat:
            return seat

    assert leave() == 1
    assert seats == {1}


@pytest.mark.wrong("lab/python/context_managers.py:wrong_held")
def test_without_try_the_seat_stays_taken(session: Session) -> None:
    session("context_managers_forgotten.pycon", **NAMES)
    seats = {1, 2}
    with pytest.raises(ConnectionError), wrong_held(seats, 1):
        fail()
    assert seats == {2}
    with pytest.raises(ConnectionError), held(seats, 2):
        fail()
    assert seats == {2}
    with wrong_held(seats, 2):
        assert not seats
    assert seats == {2}, "as long as nothing fails it looks right"


@pytest.mark.wrong("lab/python/context_managers.py:wrong_logged")
def test_a_manager_that_catches_and_does_not_raise_swallows(session: Session) -> None:
    session("context_managers_logged.pycon", **NAMES)
    log: list[str] = []
    with wrong_logged(log):
        fail()
    assert len(log) == 1
    with pytest.raises(ConnectionError), logged(log):
        fail()
    assert len(log) == 2


def test_a_true_answer_of_exit_swallows() -> None:
    class Deaf(Held):
        def __exit__(self, *_: object) -> bool:  # type: ignore[override]
            return True

    with Deaf({1}, 1):
        fail()


def test_a_transaction_is_a_context_manager(academy: None, session: Session) -> None:
    courses = {course.slug: course for course in Course.objects.all()}
    kofi = Learner.objects.create(name="Kofi", email="k@example.com")
    draft = Course.objects.get(published=False)
    names = {"transaction": transaction, "enroll": enroll, "kofi": kofi, "django": courses["django"], "draft": draft}
    session("context_managers_atomic.pycon", **names)
    again = transaction.atomic()

    def nested() -> None:
        with again, again:
            enroll(kofi, courses["django"])
            enroll(kofi, draft)

    for _ in range(2):  # Django's keep their state in the connection, and can be used again
        with pytest.raises(CannotEnroll):
            nested()
    assert not Enrollment.objects.filter(learner=kofi).exists()


@pytest.mark.wrong("lab/python/context_managers.py:wrong_changes")
def test_one_object_for_two_blocks_forgets_the_outer(session: Session) -> None:
    session("context_managers_again.pycon", **NAMES)
    grades = {"Ama": 71}

    def once() -> None:
        with WrongChanges(grades):
            grades["Kofi"] = 48
            fail()

    with pytest.raises(ConnectionError):
        once()
    assert grades == {"Ama": 71}, "used once, it does what it says"


def test_a_generator_serves_one_block(session: Session) -> None:
    session("context_managers_once.pycon", **NAMES)


def test_a_database_error_caught_inside_undoes_the_block_in_silence(academy: None) -> None:
    ama = Learner.objects.get(name="Ama")
    with transaction.atomic():
        Learner.objects.create(name="Yaa", email="yaa@example.com")
        with suppress(IntegrityError):
            Learner.objects.create(name="Another", email=ama.email)
        with pytest.raises(transaction.TransactionManagementError):
            Learner.objects.count()
    assert not Learner.objects.filter(name="Yaa").exists()


def test_an_open_file_serves_one_block(tmp_path: Path) -> None:
    file = (tmp_path / "grades.csv").open("w")
    with file:
        with file:
            pass
        assert file.closed
    with pytest.raises(ValueError, match="closed file"), file:
        pytest.fail("never")


def test_a_generator_left_half_read_does_not_leave_its_block() -> None:
    seats = {1}

    def lines() -> Generator[int, None, None]:
        with held(seats, 1):
            yield 1
            yield 2

    reading = lines()
    next(reading)
    assert not seats
    reading.close()
    assert seats == {1}


def test_two_files_in_one_with_are_two_blocks(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError), (tmp_path / "a").open() as first, (tmp_path / "b").open():
        pytest.fail("never")
    assert first.closed


def test_a_lock_is_reusable_and_not_reentrant() -> None:
    lock = threading.Lock()
    for _ in range(2):
        with lock:
            assert not lock.acquire(blocking=False), "a second with would wait for ever"
    rlock = threading.RLock()
    with rlock, rlock:
        assert rlock.acquire(blocking=False)
        rlock.release()


def test_as_a_decorator_a_manager_is_made_anew_for_each_call() -> None:
    seats = {1}

    @held(seats, 1)
    def pay() -> None:
        assert not seats

    for _ in range(2):
        pay()
        assert seats == {1}


@pytest.mark.wrong("lab/python/context_managers.py:wrong_merge")
def test_a_file_that_is_missing_leaves_the_others_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Recorder
) -> None:
    parts = [tmp_path / name for name in ("ama.csv", "kofi.csv", "esi.csv")]
    for part in parts:
        part.write_text(f"{part.stem},71\n")
    for function in (wrong_merge, merge):
        function(parts, tmp_path / "all.csv")
        assert (tmp_path / "all.csv").read_text() == "ama,71\nkofi,71\nesi,71\n"
    parts[2].unlink()
    opened: list[IO[str]] = []
    real = Path.open

    def watched(path: Path, *args: Any, **options: Any) -> Any:
        file = real(path, *args, **options)
        opened.append(file)
        return file

    monkeypatch.setattr(Path, "open", watched)
    lines = []
    for function in (wrong_merge, merge):
        opened.clear()
        with pytest.raises(FileNotFoundError):
            function(parts, tmp_path / "all.csv")
        state = ", ".join(f"{Path(file.name).name} {'closed' if file.closed else 'open'}" for file in opened)
        lines.append(f"{function.__name__:12} {state}")
        for file in opened:
            file.close()
    record("context_managers_merge.txt", "\n".join(lines))


def test_a_forgotten_file_warns_when_it_is_collected(tmp_path: Path) -> None:
    (tmp_path / "ama.csv").touch()

    def forget() -> None:
        (tmp_path / "ama.csv").open()
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed file"):
        forget()


def test_what_was_done_is_undone_in_reverse_order(session: Session) -> None:
    session("context_managers_buy.pycon", **NAMES)
    done: list[str] = []
    with ExitStack() as undo:
        undo.callback(done.append, "first")
        undo.callback(done.append, "second")
    assert done == ["second", "first"]
    seats = {1}
    buy(seats, 1, lambda _: None)
    assert not seats


@pytest.mark.wrong("lab/python/context_managers.py:wrong_clean")
def test_suppress_ends_the_block(tmp_path: Path) -> None:
    draft, preview = tmp_path / "draft", tmp_path / "preview"
    preview.touch()
    wrong_clean(draft, preview)
    assert preview.exists()
    clean(draft, preview)
    assert not preview.exists()
    draft.touch()
    preview.touch()
    wrong_clean(draft, preview)
    assert not preview.exists(), "as long as both are there it looks right"


def test_a_connection_comes_back_when_the_task_is_cancelled() -> None:
    async def main() -> None:
        pool: asyncio.Queue[str] = asyncio.Queue()
        pool.put_nowait("one")

        async def wait() -> None:
            async with asyncio.timeout(0.01), borrowed(pool) as connection:
                assert (connection, pool.qsize()) == ("one", 0)
                await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await wait()
        assert pool.qsize() == 1
        order = []

        async def use(name: str) -> None:
            async with borrowed(pool):
                order.append(f"{name} has it")
                await asyncio.sleep(0)
                order.append(f"{name} gives it back")

        await asyncio.gather(use("Ama"), use("Kofi"))
        assert order == ["Ama has it", "Ama gives it back", "Kofi has it", "Kofi gives it back"]

    asyncio.run(main())


def test_a_plain_with_does_not_take_an_async_manager() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="context manager protocol"), borrowed(asyncio.Queue()):  # type: ignore[attr-defined]
            pytest.fail("never")

    asyncio.run(main())
