"""Mistakes with functions, each wrong on purpose."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lab.python.functions import certify, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


# --8<-- [start:wrong_certify]
def wrong_certify(name: str, course: str, **options: bool) -> str:
    """Return the text of a certificate."""
    return certify(name, course, honors=options.get("honors", False))


# --8<-- [end:wrong_certify]


# --8<-- [start:wrong_checks]
def wrong_checks(limits: Iterable[int]) -> list[Callable[[int], bool]]:
    """Return a check for each limit."""
    return [lambda grade: grade >= limit for limit in limits]  # noqa: B023


# --8<-- [end:wrong_checks]


# --8<-- [start:wrong_announced]
def wrong_announced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Log each call of a function."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        log.info("%s%r", function.__name__, args)
        return function(*args, **kwargs)

    return wrapper


@wrong_announced
def wrong_grant(name: str, course: str) -> str:
    """Grant a certificate."""
    return certify(name, course)


# --8<-- [end:wrong_announced]


# --8<-- [start:wrong_course]
class WrongCourse:
    """A course with its grades, which do not change any more."""

    def __init__(self, title: str, grades: tuple[int, ...]) -> None:
        self.title = title
        self.grades = grades

    @lru_cache(maxsize=128)  # noqa: B019
    def average(self) -> float:
        """Return the average of all grades."""
        return sum(self.grades) / len(self.grades)


# --8<-- [end:wrong_course]
