"""A course that is kept, a mistake in it, and a cache that counts what it finds."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from functools import partial
from typing import Any, ClassVar

from django.core.cache import cache
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.db import transaction

from lab.academy.models import Course

logger = logging.getLogger(__name__)


# --8<-- [start:seats]
def seats(slug: str) -> int:
    """Return how many seats a course has, kept for a minute."""
    course = Course.objects.values_list("seats", flat=True)
    load = partial(course.get, slug=slug)
    kept: Any = cache.get_or_set(f"course:{slug}:seats", load, timeout=60)
    return int(kept)


def set_seats(slug: str, number: int) -> None:
    """Give a course so many seats."""
    Course.objects.filter(slug=slug).update(seats=number)
    transaction.on_commit(partial(cache.delete, f"course:{slug}:seats"))


# --8<-- [end:seats]


# --8<-- [start:wrong_set]
def wrong_set_seats(slug: str, number: int) -> None:
    """Give a course so many seats."""
    Course.objects.filter(slug=slug).update(seats=number)


# --8<-- [end:wrong_set]


# --8<-- [start:counted]
MISSING = object()


class Counted:
    """Counts what a cache finds, by family: what a key says before its first colon."""

    lock = threading.Lock()  # of the class: Django makes a cache for each thread
    seen: ClassVar[Counter[tuple[str, str]]] = Counter()

    def count(self, key: str, outcome: str) -> None:
        """Count one read; a line is logged every thousand."""
        with self.lock:
            self.seen[key.split(":")[0], outcome] += 1
            if self.seen.total() < 1000:
                return
            seen = self.seen.copy()
            self.seen.clear()
        for family in sorted({family for family, _ in seen}):
            hits, misses = seen[family, "hit"], seen[family, "miss"]
            logger.info("cache %s: %d hits, %d misses", family, hits, misses)

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return what is kept, and count."""
        found = super().get(key, MISSING, version)  # type: ignore[misc]
        self.count(key, "miss" if found is MISSING else "hit")
        return default if found is MISSING else found

    def get_or_set(
        self,
        key: str,
        default: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> Any:
        """Return what is kept, or keep it; one read, and Django would make it two."""
        found = self.get(key, MISSING, version)
        if found is MISSING:
            found = default() if callable(default) else default
            self.add(key, found, timeout, version)  # type: ignore[attr-defined]
        return found


class CountedRedisCache(Counted, RedisCache):
    """Django's cache on Redis or Valkey, counted."""


# --8<-- [end:counted]


class CountedLocMemCache(Counted, LocMemCache):
    """Django's cache in local memory, counted."""
