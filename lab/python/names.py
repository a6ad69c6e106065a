"""Names and objects: what assignment binds, what is shared, and what a copy copies."""

from __future__ import annotations

import copy


# --8<-- [start:same_course]
def same_course(first_id: int, second_id: int) -> bool:
    """Return whether two ids are those of one course."""
    return first_id == second_id


# --8<-- [end:same_course]


# --8<-- [start:arguments]
def add(names: list[str], name: str) -> None:
    """Add a name to the list that the caller handed over."""
    names.append(name)


def replace(names: list[str], name: str) -> None:
    """Bind the local name ``names`` to a new list, and nothing else."""
    names = [*names, name]


# --8<-- [end:arguments]


# --8<-- [start:wait]
def wait(name: str, line: list[str] | None = None) -> list[str]:
    """Return the waiting list with one name more, a new list if there is none."""
    if line is None:
        line = []
    line.append(name)
    return line


# --8<-- [end:wait]


# --8<-- [start:draft]
def draft(template: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return a copy of a course that can be changed without changing the other."""
    return copy.deepcopy(template)


# --8<-- [end:draft]


# --8<-- [start:course]
class Course:
    """A course with its learners."""

    seats = 30

    def __init__(self, title: str) -> None:
        self.title = title
        self.learners: list[str] = []


# --8<-- [end:course]
