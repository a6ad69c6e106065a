"""What happens when something cannot be done: raising, catching, and what swallowing costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


# --8<-- [start:parse]
class GradeError(ValueError):
    """No learner can have this grade; the text says why."""


def parse(text: str) -> int:
    """Return the grade that a cell of a spreadsheet holds."""
    try:
        grade = int(text)
    except ValueError as error:
        raise GradeError(f"{text!r} is not a whole number") from error
    if not 0 <= grade <= 100:
        raise GradeError(f"{grade} is not between 0 and 100")
    return grade


# --8<-- [end:parse]


# --8<-- [start:import_grades]
def import_grades(lines: Iterable[str]) -> dict[str, int]:
    """Return the grade of each learner.

    Raises:
        ExceptionGroup: With a GradeError for each line that holds none.
    """
    grades, problems = {}, []
    for number, line in enumerate(lines, 1):
        name, _, text = line.partition(",")
        try:
            grade = parse(text)
        except GradeError as error:
            error.add_note(f"in line {number}, of {name}")
            problems.append(error)
        else:
            grades[name] = grade
    if problems:
        raise ExceptionGroup("the file was not imported", problems)
    return grades


# --8<-- [end:import_grades]


# --8<-- [start:report]
def report(lines: Iterable[str]) -> list[str]:
    """Return what the registrar has to mend in the file."""
    problems = []
    try:
        import_grades(lines)
    except* GradeError as group:
        for error in group.exceptions:
            problems.append(f"{error} ({error.__notes__[0]})")
    return problems


# --8<-- [end:report]


# --8<-- [start:wrong_average]
def wrong_average(grades: Mapping[str, str]) -> float:
    """Return the average grade."""
    try:
        return sum(parse(text) for text in grades) / len(grades)
    except Exception:
        return 0.0


# --8<-- [end:wrong_average]


# --8<-- [start:average]
def average(grades: Mapping[str, str]) -> float | None:
    """Return the average grade, None where nobody has one."""
    marks = [parse(text) for text in grades.values()]
    try:
        return sum(marks) / len(marks)
    except ZeroDivisionError:
        return None


# --8<-- [end:average]


# --8<-- [start:wrong_store]
def wrong_store(register: dict[str, int], name: str, grade: int) -> None:
    """Keep the grade of a learner."""
    assert 0 <= grade <= 100, f"{grade} is not between 0 and 100"  # noqa: S101
    register[name] = grade


# --8<-- [end:wrong_store]


# --8<-- [start:store]
def store(register: dict[str, int], name: str, grade: int) -> None:
    """Keep the grade of a learner."""
    if not 0 <= grade <= 100:
        raise GradeError(f"{grade} is not between 0 and 100")
    register[name] = grade


# --8<-- [end:store]


# --8<-- [start:wrong_take_seat]
def wrong_take_seat(learners: list[str], seats: int, name: str) -> bool:
    """Give a learner a seat; return whether there was one."""
    if len(learners) >= seats:
        return False
    learners.append(name)
    return True


# --8<-- [end:wrong_take_seat]


# --8<-- [start:take_seat]
class CourseFullError(Exception):
    """No seat is left."""


def take_seat(learners: list[str], seats: int, name: str) -> None:
    """Give a learner a seat.

    Raises:
        CourseFullError: All seats are taken.
    """
    if len(learners) >= seats:
        raise CourseFullError(f"{seats} of {seats} seats are taken")
    learners.append(name)


# --8<-- [end:take_seat]


# --8<-- [start:wrong_reserve]
def wrong_reserve(seat: Path, name: str) -> bool:
    """Reserve a seat, which is a file, unless it is taken."""
    if seat.exists():
        return False
    seat.write_text(name)
    return True


# --8<-- [end:wrong_reserve]


# --8<-- [start:reserve]
def reserve(seat: Path, name: str) -> bool:
    """Reserve a seat, which is a file, unless it is taken."""
    try:
        with seat.open("x") as file:  # x: make the file, or fail
            file.write(name)
    except FileExistsError:
        return False
    return True


# --8<-- [end:reserve]


# --8<-- [start:lookups]
def ask_first(grades: dict[str, int], names: list[str]) -> int:
    """Count the names that have a grade."""
    found = 0
    for name in names:
        if name in grades:
            grades[name]
            found += 1
    return found


def try_first(grades: dict[str, int], names: list[str]) -> int:
    """Count the names that have a grade."""
    found = 0
    for name in names:
        try:
            grades[name]
        except KeyError:
            continue
        found += 1
    return found


# --8<-- [end:lookups]
