"""Iteration: values that come one at a time, and what that saves."""

from __future__ import annotations

from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")


# --8<-- [start:passed]
def passed(grades: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Yield the names of those who passed."""
    for name, points in grades:
        if points >= 50:
            yield name


# --8<-- [end:passed]


# --8<-- [start:seats]
class FreeSeats:
    """The seats of a course that nobody has taken."""

    def __init__(self, seats: int, taken: set[int]) -> None:
        self.seats = seats
        self.taken = taken

    def __iter__(self) -> Iterator[int]:
        for seat in range(1, self.seats + 1):
            if seat not in self.taken:
                yield seat


# --8<-- [end:seats]


# --8<-- [start:pipeline]
def read(path: Path) -> Iterator[str]:
    """Yield the lines of a file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def parse(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield a name and points for each line."""
    for line in lines:
        name, points = line.split(",")
        yield name, int(points)


# --8<-- [end:pipeline]


# --8<-- [start:seen]
def seen(step: str, values: Iterable[T]) -> Iterator[T]:
    """Yield the values as they come, and print each."""
    for value in values:
        print(step, value)
        yield value


# --8<-- [end:seen]


# --8<-- [start:titles]
Outline: TypeAlias = "list[str | Outline]"


def titles(outline: Outline) -> Iterator[str]:
    """Yield the titles of lessons, those of nested parts included."""
    for entry in outline:
        if isinstance(entry, str):
            yield entry
        else:
            yield from titles(entry)


# --8<-- [end:titles]


# --8<-- [start:report]
def report(names: Iterable[str]) -> str:
    """Say how many passed, and who."""
    names = list(names)
    return f"{len(names)} passed: {', '.join(names)}"


# --8<-- [end:report]


# --8<-- [start:batches]
def batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the values in lists of at most that size."""
    left = iter(values)
    while batch := list(islice(left, size)):
        yield batch


# --8<-- [end:batches]


# --8<-- [start:averages]
def average_with_lists(path: Path) -> float:
    """Return the average of a file of grades; each step is a list."""
    lines = list(read(path))
    grades = list(parse(lines))
    return fmean([points for _, points in grades])


def average_with_generators(path: Path) -> float:
    """Return the average of a file of grades; no step is stored."""
    lines = read(path)
    grades = parse(lines)
    return fmean(points for _, points in grades)


# --8<-- [end:averages]


# --8<-- [start:walks]
def walks_of_a_list(path: Path, walks: int) -> list[int]:
    """Read the file once, and go through the list."""
    grades = list(parse(read(path)))
    return [sum(points for _, points in grades) for _ in range(walks)]


def walks_of_generators(path: Path, walks: int) -> list[int]:
    """Read the file each time."""
    return [sum(points for _, points in parse(read(path))) for _ in range(walks)]


# --8<-- [end:walks]
