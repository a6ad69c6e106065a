"""The register of a course: who has a seat. It is right; look at its tests."""

from __future__ import annotations

import os
import sqlite3


class CourseIsFullError(Exception):
    """There is no seat left."""


def create() -> sqlite3.Connection:
    """Return a new register, without anybody in it."""
    register = sqlite3.connect(":memory:")
    register.execute("CREATE TABLE seat (learner TEXT PRIMARY KEY)")
    return register


def seats() -> int:
    """Return how many seats a course has: 30, unless the environment says otherwise."""
    return int(os.environ.get("COURSE_SEATS", "30"))


def learners(register: sqlite3.Connection) -> list[str]:
    """Return who has a seat."""
    return [row[0] for row in register.execute("SELECT learner FROM seat ORDER BY 1")]


def enroll(register: sqlite3.Connection, learner: str) -> None:
    """Give a learner a seat.

    Raises:
        CourseIsFullError: There is none.
    """
    if len(learners(register)) >= seats():
        raise CourseIsFullError(learner)
    register.execute("INSERT INTO seat VALUES (?)", [learner])
