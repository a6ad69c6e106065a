"""Many readers miss in one moment: who asks the database, and what the others do."""

from __future__ import annotations

import math
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, JsonResponse
from django.urls import path

from lab.caching.cost import average_grade

if TYPE_CHECKING:
    from collections.abc import Callable

# --8<-- [start:lock]
MISSING = object()
HELD, PATIENCE = 5, 10  # seconds: of a lock, and of a reader without it


def locked(key: str, load: Callable[[], Any], timeout: int) -> Any:
    """Return what is kept; of all who miss, one loads it and the others wait."""
    end, pause = time.monotonic() + PATIENCE, 0.02
    while (found := cache.get(key, MISSING)) is MISSING:
        token = uuid.uuid4().hex
        if cache.add(f"{key}:lock", token, timeout=HELD):
            try:
                return again(key, load, timeout)
            finally:
                if cache.get(f"{key}:lock") == token:
                    cache.delete(f"{key}:lock")
        if time.monotonic() > end:
            return load()
        time.sleep(pause)
        pause = min(1.5 * pause, 0.25)
    return found


def again(key: str, load: Callable[[], Any], timeout: int) -> Any:
    """Look once more, now with the lock: somebody may have been faster."""
    if (found := cache.get(key, MISSING)) is MISSING:
        found = load()
        cache.set(key, found, timeout)
    return found


# --8<-- [end:lock]


# --8<-- [start:early]
def early(key: str, load: Callable[[], Any], timeout: int, beta: float = 1) -> Any:
    """Return what is kept; sometimes load it before its time is over."""
    if (found := cache.get(key)) is not None:
        value, cost, ends = found
        ahead = -cost * beta * math.log(1 - random.random())  # noqa: S311
        if time.time() + ahead < ends:
            return value
    start = time.time()
    value = load()
    now = time.time()
    cache.set(key, (value, now - start, now + timeout), timeout)
    return value


# --8<-- [end:early]


# --8<-- [start:stale]
def stale(key: str, load: Callable[[], Any], timeout: int, grace: int = 3600) -> Any:
    """Return what is kept, an old value too, while one reader loads the new one."""

    def stamped() -> tuple[Any, float]:
        return load(), time.time() + timeout

    value, ends = locked(key, stamped, timeout + grace)
    if time.time() > ends and cache.add(f"{key}:renewing", 1, timeout=HELD):
        try:
            value, ends = cache.get(key, (value, ends))  # somebody may have been faster
            if time.time() > ends:
                value, ends = stamped()
                cache.set(key, (value, ends), timeout + grace)
        finally:  # where loading fails, the next reader tries again
            cache.delete(f"{key}:renewing")
    return value


# --8<-- [end:stale]


# --8<-- [start:warm]
def warm() -> None:
    """Renew what must never miss; a scheduler calls this every minute."""
    cache.set("grades:average", average_grade(), timeout=300)


# --8<-- [end:warm]


def plain(key: str, load: Callable[[], Any], timeout: int) -> Any:
    """Return what is kept; whoever misses loads it."""
    return cache.get_or_set(key, load, timeout)


WAYS: dict[str, Callable[..., Any]] = {
    "get_or_set": plain,
    "lock": locked,
    "early": early,
    "stale": stale,
}
SECONDS = 1  # an entry lives


def counted() -> float | None:
    """Return the average of all grades, and count that somebody asked."""
    cache.incr("asked")
    return average_grade()


@login_not_required
def average(request: HttpRequest, way: str) -> JsonResponse:
    """Answer with the average of all grades, kept for a second."""
    load = WAYS[way]
    return JsonResponse({"average": load(f"grades:{way}", counted, SECONDS)})


urlpatterns = [path("<str:way>/", average)]
