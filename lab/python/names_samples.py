"""Mistakes with names and objects, each wrong on purpose."""

from __future__ import annotations


# --8<-- [start:wrong_same_course]
def wrong_same_course(first_id: int, second_id: int) -> bool:
    """Return whether two ids are those of one course."""
    return first_id is second_id


# --8<-- [end:wrong_same_course]


# --8<-- [start:wrong_wait]
def wrong_wait(name: str, line: list[str] = []) -> list[str]:  # noqa: B006
    """Return the waiting list with one name more, a new list if there is none."""
    line.append(name)
    return line


# --8<-- [end:wrong_wait]


# --8<-- [start:wrong_draft]
def wrong_draft(template: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return a copy of a course that can be changed without changing the other."""
    return template.copy()


# --8<-- [end:wrong_draft]


# --8<-- [start:wrong_course]
class WrongCourse:
    """A course with its learners."""

    seats = 30
    learners: list[str] = []

    def __init__(self, title: str) -> None:
        self.title = title


# --8<-- [end:wrong_course]
