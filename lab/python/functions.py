"""Functions: how arguments arrive, what a closure remembers, what a decorator wraps."""

from __future__ import annotations

import logging
from functools import cached_property, lru_cache, partial, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)


# --8<-- [start:certify]
def certify(name: str, /, course: str, *, honors: bool = False) -> str:
    """Return the text of a certificate."""
    return f"{name} passed {course}{' with honors' if honors else ''}"


# --8<-- [end:certify]


# --8<-- [start:summary]
def summary(course: str, /, *tags: str, **grades: int) -> str:
    """Return a line about a course: its tags, and grades by name."""
    return f"{course}: {tags} {grades}"


# --8<-- [end:summary]


# --8<-- [start:at_least]
def at_least(limit: int) -> Callable[[int], bool]:
    """Return a function that says whether a grade reaches the limit."""

    def reached(grade: int) -> bool:
        return grade >= limit

    return reached


# --8<-- [end:at_least]


# --8<-- [start:counter]
def counter() -> Callable[[], int]:
    """Return a function that counts how often it was called."""
    calls = 0

    def count() -> int:
        nonlocal calls
        calls += 1
        return calls

    return count


# --8<-- [end:counter]


# --8<-- [start:checks]
def checks(limits: Iterable[int]) -> list[Callable[[int], bool]]:
    """Return a check for each limit."""
    return [at_least(limit) for limit in limits]


# --8<-- [end:checks]


# --8<-- [start:announced]
P = ParamSpec("P")
R = TypeVar("R")


def announced(function: Callable[P, R]) -> Callable[P, R]:
    """Log each call of a function."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        log.info("%s%r", function.__name__, args)
        return function(*args, **kwargs)

    return wrapper


@announced
def grant(name: str, course: str) -> str:
    """Grant a certificate."""
    return certify(name, course)


# --8<-- [end:announced]


# --8<-- [start:retried]
def retried(
    times: int, *, on: type[Exception]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Call a function again when it raises this exception."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for _ in range(times - 1):
                try:
                    return function(*args, **kwargs)
                except on as error:
                    log.info("again, after %r", error)
            return function(*args, **kwargs)

        return wrapper

    return decorate


# --8<-- [end:retried]


# --8<-- [start:letter]
BANDS = (("A", 80), ("B", 65), ("C", 50), ("F", 0))


@lru_cache(maxsize=128)
def letter(points: int) -> str:
    """Return the letter of a grade."""
    return next(name for name, least in BANDS if points >= least)


# --8<-- [end:letter]


# --8<-- [start:course]
class Course:
    """A course with its grades, which do not change any more."""

    def __init__(self, title: str, grades: tuple[int, ...]) -> None:
        self.title = title
        self.grades = grades

    @cached_property
    def average(self) -> float:
        """The average of all grades."""
        return sum(self.grades) / len(self.grades)


# --8<-- [end:course]


# --8<-- [start:partial]
praise = partial(certify, honors=True)
# --8<-- [end:partial]
