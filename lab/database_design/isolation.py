"""What others see of a transaction, and four ways to keep two of them apart."""

from __future__ import annotations

import random
import time
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import F

from lab.academy.models import Course

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


class LastCourseError(ValueError):
    """A level would be left without an open course."""


# --8<-- [start:wrong_close]
@transaction.atomic
def wrong_close(course: Course) -> None:
    """Close a course, unless it is the last open one of its level."""
    same_level = Course.objects.filter(level=course.level, published=True)
    if not same_level.exclude(pk=course.pk).exists():
        raise LastCourseError("one course of each level stays open")
    course.published = False
    course.save(update_fields=["published"])


# --8<-- [end:wrong_close]


# --8<-- [start:close_locked]
@transaction.atomic
def close_locked(course: Course) -> None:
    """Close a course, unless it is the last open one of its level."""
    same_level = Course.objects.filter(level=course.level, published=True)
    locked = list(same_level.order_by("pk").select_for_update())
    if not any(other.pk != course.pk for other in locked):
        raise LastCourseError("one course of each level stays open")
    course.published = False
    course.save(update_fields=["published"])


# --8<-- [end:close_locked]


# --8<-- [start:serializable]
def is_conflict(error: OperationalError) -> bool:
    """Say whether the server asks to run the transaction again."""
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):  # serialization failure, deadlock
        return cause.sqlstate in {"40001", "40P01"}
    return bool(cause and cause.args[0] in {1213, 1020})  # deadlock, changed row


def serializable(work: Callable[P, R]) -> Callable[P, R]:
    """Run a function as a serializable transaction, again if it met another."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        longest = 0.01  # seconds
        while True:
            try:
                with transaction.atomic(durable=True):
                    with connection.cursor() as cursor:
                        cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                    return work(*args, **kwargs)
            except OperationalError as error:
                if longest > 0.1 or not is_conflict(error):
                    raise
            time.sleep(random.uniform(0, longest))  # noqa: S311
            longest *= 2

    return run


# --8<-- [end:serializable]


# --8<-- [start:close]
@serializable
def close(pk: int) -> None:
    """Close a course, unless it is the last open one of its level."""
    course = Course.objects.get(pk=pk)
    same_level = Course.objects.filter(level=course.level, published=True)
    if not same_level.exclude(pk=pk).exists():
        raise LastCourseError("one course of each level stays open")
    course.published = False
    course.save(update_fields=["published"])


# --8<-- [end:close]


# --8<-- [start:change_computed]
def change_computed(pk: int, more: Callable[[], int]) -> None:
    """Add seats: the database computes."""
    Course.objects.filter(pk=pk).update(seats=F("seats") + more())


# --8<-- [end:change_computed]


# --8<-- [start:change_locked]
@transaction.atomic
def change_locked(pk: int, more: Callable[[], int]) -> None:
    """Add seats: lock, read, write."""
    course = Course.objects.select_for_update().get(pk=pk)
    course.seats += more()
    course.save(update_fields=["seats"])


# --8<-- [end:change_locked]


# --8<-- [start:change_compared]
class TooBusyError(Exception):
    """Somebody else was faster, every time."""


def change_compared(pk: int, more: Callable[[], int]) -> None:
    """Add seats: read, then write if nobody else has written."""
    for _ in range(5):
        old = Course.objects.get(pk=pk).seats
        unchanged = Course.objects.filter(pk=pk, seats=old)
        if unchanged.update(seats=old + more()) == 1:
            return
    raise TooBusyError


# --8<-- [end:change_compared]


# --8<-- [start:change_serializable]
@serializable
def change_serializable(pk: int, more: Callable[[], int]) -> None:
    """Add seats: read, write, and let the server find out."""
    course = Course.objects.get(pk=pk)
    course.seats += more()
    course.save(update_fields=["seats"])


# --8<-- [end:change_serializable]
