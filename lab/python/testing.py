"""Small functions of the academy, for tests to hold on to."""

from __future__ import annotations

import csv
import io
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


# --8<-- [start:passed]
def passed(grades: dict[str, int]) -> list[str]:
    """Return who passed, by name."""
    return sorted(name for name, grade in grades.items() if grade >= 50)


# --8<-- [end:passed]


# --8<-- [start:label]
def label(grade: int) -> str:
    """Return the word for a grade.

    Raises:
        ValueError: It is not between 0 and 100.
    """
    if not 0 <= grade <= 100:
        raise ValueError(f"{grade} is not a grade")
    if grade >= 80:
        return "distinction"
    return "pass" if grade >= 50 else "fail"


# --8<-- [end:label]


# --8<-- [start:publish]
def publish(grades: dict[str, int], path: Path) -> None:
    """Write who passed to a file, and print how many; log if there is nobody."""
    names = passed(grades)
    if not names:
        log.warning("nobody passed")
    path.write_text("\n".join(names), encoding="utf-8")
    print(os.environ.get("ACADEMY", "The academy"), "has", len(names), "graduates")


# --8<-- [end:publish]


# --8<-- [start:mailer]
class Mailer:
    """Sends mail over the network."""

    def send(self, to: str, text: str) -> None:
        """Send a mail."""
        raise OSError("a test must not get here")


def congratulate(grades: dict[str, int], mailer: Mailer) -> None:
    """Write to everybody who passed."""
    for name in passed(grades):
        mailer.send(name, "You passed")


# --8<-- [end:mailer]


# --8<-- [start:lines]
def write_line(name: str, grade: int) -> str:
    """Write a line of a file with grades."""
    text = io.StringIO()
    csv.writer(text).writerow([name, grade])
    return text.getvalue()


def read_line(line: str) -> tuple[str, int]:
    """Read what write_line wrote."""
    name, grade = next(csv.reader(io.StringIO(line, newline="")))
    return name, int(grade)


# --8<-- [end:lines]
