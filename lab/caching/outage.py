"""A cache server that is away, and a site that is not."""

from __future__ import annotations

import logging
from collections import defaultdict
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from django.db import connection
from django.db.models import Count
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004

from lab.academy.models import Course

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)


# --8<-- [start:view]
def popular_courses() -> list[str]:
    """Return the titles of the three courses that most learners joined."""
    courses = Course.objects.filter(published=True)
    most = courses.annotate(joined=Count("learners")).order_by("-joined", "title")
    return [course.title for course in most[:3]]


@login_not_required
def popular(request: HttpRequest) -> JsonResponse:
    """Show them; they are computed once a minute."""
    titles = cache.get_or_set("courses:popular", popular_courses, timeout=60)
    return JsonResponse({"popular": titles})


# --8<-- [end:view]


# --8<-- [start:settings]
def patient_for(seconds: float, url: str) -> dict[str, Any]:
    """Return the settings of a cache that is waited for no longer than this."""
    return {
        "BACKEND": "lab.caching.outage.TolerantCache",
        "LOCATION": url,
        "OPTIONS": {
            "socket_connect_timeout": seconds,
            "socket_timeout": seconds,  # for each answer
        },
    }


# --8<-- [end:settings]


# --8<-- [start:wrong_cache]
class WrongTolerantCache(RedisCache):
    """A cache whose errors are misses, however many there are."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return what is kept, or the default."""
        try:
            return super().get(key, default, version)
        except Exception:
            return default


# --8<-- [end:wrong_cache]


# --8<-- [start:breaker]
DOWN = (ConnectionError, TimeoutError)  # of redis-py: Python's own are others
PAUSE = 5  # seconds without the cache, after it did not answer


class Outage:
    """What this process knows of a server that may be away."""

    def __init__(self) -> None:
        self.began = False
        self.next_try = 0.0

    def attempt(self, command: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return what the server answers, or ``otherwise`` while it is away."""
        if self.began:
            if monotonic() < self.next_try:
                return otherwise
            self.next_try = monotonic() + PAUSE  # one tries, the others go on
        try:
            answer = command()
        except DOWN as error:
            self.next_try = monotonic() + PAUSE
            if not self.began:
                self.began = True
                logger.error("The cache is away: %s", error)
            return otherwise
        if self.began:
            self.began = False
            logger.warning("The cache is back.")
        return answer


outages: defaultdict[str, Outage] = defaultdict(Outage)  # by URL


# --8<-- [end:breaker]


# --8<-- [start:cache]
class TolerantCache(RedisCache):
    """A cache on Valkey or Redis. While it is away, every read is a miss.

    What must not be guessed stays strict: ``incr``, ``decr``, ``clear``.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self.outage = outages[server]

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return what is kept, or the default."""
        return self.outage.attempt(partial(super().get, key, default, version), default)

    def set(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        """Keep a value."""
        self.outage.attempt(partial(super().set, key, value, timeout, version), None)

    def add(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Keep a value if there is none; say whether that was so."""
        return self.outage.attempt(
            partial(super().add, key, value, timeout, version), False
        )

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget a value; say whether there was one."""
        return self.outage.attempt(partial(super().delete, key, version), False)

    # --8<-- [end:cache]

    def touch(
        self,
        key: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Keep a value for longer; say whether there is one."""
        return self.outage.attempt(partial(super().touch, key, timeout, version), False)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Say whether there is a value."""
        return self.outage.attempt(partial(super().has_key, key, version), False)

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        """Return what is kept."""
        return self.outage.attempt(partial(super().get_many, keys, version), {})

    def set_many(
        self,
        data: dict[Any, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[Any]:
        """Keep values; return the keys of those that are not kept."""
        keep = partial(super().set_many, data, timeout, version)
        return self.outage.attempt(keep, list(data))

    def delete_many(self, keys: Any, version: int | None = None) -> None:
        """Forget values."""
        self.outage.attempt(partial(super().delete_many, keys, version), None)


# --8<-- [start:readiness]
@never_cache
@login_not_required
def readiness(request: HttpRequest) -> JsonResponse:
    """Say which part works. Only the database decides; the cache is not asked."""
    try:
        connection.ensure_connection()
        database = connection.is_usable()
    except Exception:
        logger.exception("the database does not answer")
        database = False
    cache_answers = not any(outage.began for outage in outages.values())
    return JsonResponse(
        {"database": database, "cache": cache_answers},
        status=200 if database else 503,
    )


# --8<-- [end:readiness]

urlpatterns = [
    path("popular/", popular),
    path("ready/", readiness),
]
