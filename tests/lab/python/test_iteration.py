"""Values come one at a time, once, and late; what that saves and when a list is better."""

from __future__ import annotations

import csv
import itertools
import platform
import sys
import time
import tracemalloc
from statistics import median
from typing import TYPE_CHECKING

import pytest

from lab.python.iteration import (
    FreeSeats,
    average_with_generators,
    average_with_lists,
    batches,
    parse,
    passed,
    read,
    report,
    seen,
    titles,
    walks_of_a_list,
    walks_of_generators,
)
from lab.python.iteration_samples import wrong_read, wrong_report
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Session = Callable[..., None]

LISTS, GENERATORS = "lists", "generators"
ONCE, ANEW = "a list, read once", "a generator, read anew each time"


def file_of(lines: int, folder: Path) -> Path:
    """Return a file of grades."""
    path = folder / f"{lines}.csv"
    path.write_text("".join(f"Learner {number},{number % 101}\n" for number in range(lines)), encoding="utf-8")
    return path


def test_comprehensions(session: Session) -> None:
    session("iteration_comprehensions.pycon")


def test_any_stops_at_the_first() -> None:
    points = iter([71, 48, 90])
    assert any(value < 50 for value in points)
    assert list(points) == [90]


def test_the_protocol(session: Session) -> None:
    session("iteration_protocol.pycon")


def test_a_generator_is_used_up(session: Session) -> None:
    session("iteration_generator.pycon", passed=passed, FreeSeats=FreeSeats)
    assert list(passed([("Ama", 49), ("Kofi", 50)])) == ["Kofi"]


def test_a_pipeline_moves_one_value_at_a_time(session: Session) -> None:
    session("iteration_pipeline.pycon", seen=seen, parse=parse, passed=passed)


def test_yield_from(session: Session) -> None:
    session("iteration_titles.pycon", titles=titles)


@pytest.mark.wrong("lab/python/iteration_samples.py:wrong_report")
@pytest.mark.wrong("lab/python/iteration_samples.py:wrong_read")
def test_used_up_and_closed(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "grades.csv"
    path.write_text("Ama,71\n", encoding="utf-8")
    names = {"passed": passed, "report": report, "read": read, "path": path}
    session("iteration_report.pycon", **names, wrong_report=wrong_report, wrong_read=wrong_read)


def test_nothing_happens_before_the_first_value(tmp_path: Path) -> None:
    lines = read(tmp_path / "missing.csv")
    with pytest.raises(FileNotFoundError):
        next(lines)


def test_close_ends_the_with_block(tmp_path: Path) -> None:
    lines = read(file_of(3, tmp_path))
    next(lines)
    file = lines.gi_frame.f_locals["file"]  # type: ignore[attr-defined]
    assert not file.closed
    lines.close()  # type: ignore[attr-defined]
    assert file.closed


def test_tools(session: Session) -> None:
    session("iteration_itertools.pycon", batches=batches)
    source = iter(range(5))
    assert next(batches(source, 2)) == [0, 1]
    assert list(source) == [2, 3, 4]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="itertools.batched came with Python 3.12")
def test_batched_of_the_standard_library() -> None:
    batched = itertools.batched(range(5), 2)  # type: ignore[attr-defined,unused-ignore]
    assert [list(batch) for batch in batched] == list(batches(range(5), 2))


def test_a_generator_has_no_length() -> None:
    names = passed([("Ama", 71)])
    with pytest.raises(TypeError, match="has no len"):
        len(names)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not subscriptable"):
        names[0]  # type: ignore[index]


def test_checks_in_a_generator_come_late() -> None:
    def free(seats: int) -> Iterator[int]:
        if seats < 1:
            raise ValueError(seats)
        yield from range(seats)

    walk = free(0)
    with pytest.raises(ValueError, match="0"):
        next(walk)

    def checked(seats: int) -> Iterator[int]:
        if seats < 1:
            raise ValueError(seats)
        return free(seats)

    with pytest.raises(ValueError, match="0"):
        checked(0)
    assert list(checked(2)) == [0, 1]


def test_other_iterators_are_used_up_too(tmp_path: Path) -> None:
    with file_of(2, tmp_path).open() as file:
        for walk in (map(str, [1]), filter(None, [1]), zip([1], [2], strict=True), csv.reader(file)):
            assert len(list(walk)) > 0
            assert list(walk) == []


# The price


def peak(average: Callable[[Path], float], path: Path) -> float:
    """Return the most memory, in KiB, that the Python objects of a call held at a time."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        average(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return round((most - before) / 1024, 1)


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_memory(folder: Path) -> Measurement:
    """Return the peak of both ways for files of four sizes, the second call of each."""
    lines: dict[str, list[tuple[float, float]]] = {LISTS: [], GENERATORS: []}
    for size in (1_000, 10_000, 100_000, 1_000_000):
        path = file_of(size, folder)
        for name, average in ((LISTS, average_with_lists), (GENERATORS, average_with_generators)):
            peak(average, path)
            lines[name].append((size, peak(average, path)))
    return Measurement(
        title="Peak memory of lists and of generators",
        description="With lists the peak grows with the file; with generators it stays the same.",
        x="lines of the file",
        y="peak memory (KiB)",
        versions={"Python": platform.python_version()},
        lines=lines,
        log_x=True,
        log_y=True,
    )


def measure_walks(folder: Path) -> Measurement:
    """Return the median time of seven rounds, in which both ways take turns, for each number of walks."""
    path = file_of(50_000, folder)
    lines: dict[str, list[tuple[float, float]]] = {ONCE: [], ANEW: []}
    for walks in (1, 2, 4, 8):
        walks_of_a_list(path, walks), walks_of_generators(path, walks)
        rounds = [
            (seconds(lambda: walks_of_a_list(path, walks)), seconds(lambda: walks_of_generators(path, walks)))  # noqa: B023
            for _ in range(7)
        ]
        for name, times in zip(lines, zip(*rounds, strict=True), strict=True):
            lines[name].append((walks, round(1000 * median(times), 1)))
    return Measurement(
        title="Going through 50,000 grades several times",
        description="With a generator the time grows with each walk; a list costs most of its time once.",
        x="walks",
        y="time (ms)",
        versions={"Python": platform.python_version()},
        lines=lines,
    )


@pytest.mark.measures("iteration")
def test_memory_and_time(measured: Callable[[str, Callable[[], Measurement]], Measurement], tmp_path: Path) -> None:
    memory = measured("iteration.json", lambda: measure_memory(tmp_path)).lines
    flat = [kib for _, kib in memory[GENERATORS]]
    assert max(flat) < 2 * min(flat)
    for (size, stored), (_, passing) in zip(memory[LISTS], memory[GENERATORS], strict=True):
        assert stored > 100 * passing * size / 100_000
    assert memory[LISTS][-1][1] > 50 * memory[LISTS][-3][1]
    walks = measured("iteration_walks.json", lambda: measure_walks(tmp_path)).lines
    once, anew = dict(walks[ONCE]), dict(walks[ANEW])
    assert 0.5 < once[1] / anew[1] < 2
    assert anew[4] > once[4]
    assert anew[8] > 2 * once[8]


def test_memory_small(tmp_path: Path) -> None:
    few, many = file_of(2_000, tmp_path), file_of(20_000, tmp_path)
    assert average_with_lists(few) == average_with_generators(few)
    stored = [peak(average_with_lists, path) for path in (few, many)]
    passing = [peak(average_with_generators, path) for path in (few, many)]
    assert stored[1] > 5 * stored[0]
    assert passing[1] < 2 * passing[0]
    assert stored[1] > 10 * passing[1]


def test_walks_small(tmp_path: Path) -> None:
    path = file_of(2_000, tmp_path)
    assert walks_of_a_list(path, 3) == walks_of_generators(path, 3)
    many = 20
    once, anew = (
        min(seconds(lambda: way(path, many)) for _ in range(3))  # noqa: B023
        for way in (walks_of_a_list, walks_of_generators)
    )
    assert anew > once
