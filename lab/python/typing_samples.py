"""Mistakes in types. A test gives each section to mypy as a file of its own, and then runs it."""

# mypy: ignore-errors
# The errors are what the page shows; tests/lab/python/test_typing.py compares every one of them.

# ruff: noqa: D101, D102, D103, E402, F811


# --8<-- [start:wrong_announce]
def best(grades: dict[str, int]) -> str | None:
    return max(grades, key=lambda name: grades[name], default=None)


def announce(grades: dict[str, int]) -> str:
    return "Best: " + best(grades).upper()


# --8<-- [end:wrong_announce]


# --8<-- [start:wrong_untyped]
def shout(name):
    return name.loud()


def announce(name: str) -> str:
    return shout(name) + 1


# --8<-- [end:wrong_untyped]


# --8<-- [start:wrong_channel]
from lab.python.typing import welcome


class Outbox:
    def send(self, to: str) -> None: ...


welcome("Ama", Outbox())
# --8<-- [end:wrong_channel]


# --8<-- [start:wrong_shapes]
from lab.python.typing import CourseId, LearnerId, Row, enroll

row: Row = {"title": "Django", "level": "expert", "seat": 30}
print(enroll(CourseId(3), LearnerId(7)))
# --8<-- [end:wrong_shapes]


# --8<-- [start:wrong_seats]
import json


def seats(body: str) -> int:
    course = json.loads(body)
    number: int = course["seats"]
    return number


# --8<-- [end:wrong_seats]


# --8<-- [start:wrong_ignores]
from lab.python.typing import weeks

one: str = weeks("45")  # type: ignore
two: str = weeks(45)  # type: ignore[assignment]
three: str = weeks("45")  # type: ignore[assignment]
four: int = weeks(45)  # type: ignore[assignment]
# --8<-- [end:wrong_ignores]


# --8<-- [start:wrong_titles]
from lab.academy.models import Course


def titles() -> list[int]:
    return [course.titel for course in Course.objects.filter(titel="Django")]


# --8<-- [end:wrong_titles]
