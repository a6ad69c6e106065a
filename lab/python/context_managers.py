"""Blocks that clean up behind themselves, whatever happens in them."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Queue
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType


# --8<-- [start:held]
class Held:
    """A seat that nobody else can take while a learner pays."""

    def __init__(self, seats: set[int], seat: int) -> None:
        self.seats, self.seat = seats, seat

    def __enter__(self) -> int:
        self.seats.remove(self.seat)
        return self.seat

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seats.add(self.seat)


# --8<-- [end:held]


# --8<-- [start:wrong_held]
@contextmanager
def wrong_held(seats: set[int], seat: int) -> Iterator[int]:
    """Keep a seat from others while a learner pays."""
    seats.remove(seat)
    yield seat
    seats.add(seat)


# --8<-- [end:wrong_held]


# --8<-- [start:held_short]
@contextmanager
def held(seats: set[int], seat: int) -> Iterator[int]:
    """Keep a seat from others while a learner pays."""
    seats.remove(seat)
    try:
        yield seat
    finally:
        seats.add(seat)


# --8<-- [end:held_short]


# --8<-- [start:wrong_logged]
@contextmanager
def wrong_logged(log: list[str]) -> Iterator[None]:
    """Note the errors of a block."""
    try:
        yield
    except Exception as error:
        log.append(str(error))


# --8<-- [end:wrong_logged]


# --8<-- [start:logged]
@contextmanager
def logged(log: list[str]) -> Iterator[None]:
    """Note the errors of a block."""
    try:
        yield
    except Exception as error:
        log.append(str(error))
        raise


# --8<-- [end:logged]


# --8<-- [start:wrong_changes]
class WrongChanges:
    """All changes that a block makes to the grades, or none."""

    def __init__(self, grades: dict[str, int]) -> None:
        self.grades = grades

    def __enter__(self) -> None:
        self.before = dict(self.grades)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self.grades.clear()
            self.grades.update(self.before)


# --8<-- [end:wrong_changes]


# --8<-- [start:changes]
@contextmanager
def changes(grades: dict[str, int]) -> Iterator[None]:
    """All changes that a block makes to the grades, or none."""
    before = dict(grades)
    try:
        yield
    except BaseException:
        grades.clear()
        grades.update(before)
        raise


# --8<-- [end:changes]


# --8<-- [start:wrong_merge]
def wrong_merge(parts: Iterable[Path], whole: Path) -> None:
    """Write the lines of several files into one."""
    files = [part.open(encoding="utf-8") for part in parts]
    with whole.open("w", encoding="utf-8") as target:
        for file in files:
            target.writelines(file)
            file.close()


# --8<-- [end:wrong_merge]


# --8<-- [start:merge]
def merge(parts: Iterable[Path], whole: Path) -> None:
    """Write the lines of several files into one."""
    with ExitStack() as stack:
        files = [stack.enter_context(part.open(encoding="utf-8")) for part in parts]
        with whole.open("w", encoding="utf-8") as target:
            for file in files:
                target.writelines(file)


# --8<-- [end:merge]


# --8<-- [start:buy]
def buy(seats: set[int], seat: int, pay: Callable[[int], None]) -> None:
    """Sell a seat: it is free again if the payment fails."""
    with ExitStack() as undo:
        seats.remove(seat)
        undo.callback(seats.add, seat)
        pay(seat)
        undo.pop_all()  # all went well: forget what was to be undone


# --8<-- [end:buy]


# --8<-- [start:wrong_clean]
def wrong_clean(draft: Path, preview: Path) -> None:
    """Delete the two files, of which either may be gone already."""
    with suppress(FileNotFoundError):
        draft.unlink()
        preview.unlink()


# --8<-- [end:wrong_clean]


# --8<-- [start:clean]
def clean(draft: Path, preview: Path) -> None:
    """Delete the two files, of which either may be gone already."""
    for path in (draft, preview):
        with suppress(FileNotFoundError):
            path.unlink()


# --8<-- [end:clean]


# --8<-- [start:borrowed]
@asynccontextmanager
async def borrowed(pool: Queue[str]) -> AsyncIterator[str]:
    """Lend a connection; who finds none waits until one comes back."""
    connection = await pool.get()
    try:
        yield connection
    finally:
        pool.put_nowait(connection)


# --8<-- [end:borrowed]
