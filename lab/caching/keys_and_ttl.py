"""What a key has to hold, and how long an entry may live."""

from __future__ import annotations

import json
import random
from hashlib import sha256
from time import time_ns
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db import transaction
from django.utils.translation import get_language

from lab.academy.models import Course
from lab.academy.visibility import visible_courses

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import AnonymousUser

    from lab.academy.models import User


# --8<-- [start:wrong_titles]
def wrong_titles(user: User | AnonymousUser) -> Any:
    """Return what the user may see, kept for everybody."""
    return cache.get_or_set(
        "courses:visible",
        lambda: list(visible_courses(user).values_list("title", flat=True)),
        timeout=60,
    )


# --8<-- [end:wrong_titles]


# --8<-- [start:titles]
def titles(user: User | AnonymousUser) -> Any:
    """Return what the user may see. Version 2: a list of titles, no longer of ids."""
    return cache.get_or_set(
        f"courses:visible:v2:{user.pk}:{get_language()}",  # pk None: nobody signed in
        lambda: list(visible_courses(user).values_list("title", flat=True)),
        timeout=60,
    )


# --8<-- [end:titles]


# --8<-- [start:key]
def wrong_key(name: str, *parts: object) -> str:
    """Join what the answer depends on."""
    return ":".join([name, *map(str, parts)])


def key(name: str, **parts: Any) -> str:
    """Return one key of 64 hexadecimal digits and a name, whatever was typed."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return f"{name}:{sha256(text.encode()).hexdigest()}"


# --8<-- [end:key]


# --8<-- [start:wrong_space]
def wrong_in_course(course: int, name: str) -> str:
    """Return a key that ends with the next version of the course."""
    version = cache.get_or_set(f"course:{course}:version", 1, timeout=None)
    return f"course:{course}:v{version}:{name}"


# --8<-- [end:wrong_space]


# --8<-- [start:space]
def in_course(course: int, name: str) -> str:
    """Return a key that ends with the next version of the course."""
    version = cache.get_or_set(f"course:{course}:version", time_ns, timeout=None)
    return f"course:{course}:v{version}:{name}"


def forget_course(course: int) -> None:
    """End every entry of the course, however many there are."""
    cache.set(f"course:{course}:version", time_ns(), timeout=None)


# --8<-- [end:space]


# --8<-- [start:jitter]
def about(seconds: int, share: float = 0.25) -> int:
    """Return a TTL up to a quarter shorter: "at most this old" stays true."""
    return seconds - random.randint(0, int(seconds * share))  # noqa: S311


# --8<-- [end:jitter]


# --8<-- [start:wrong_sliding]
def wrong_sliding(name: str, compute: Callable[[], Any]) -> Any:
    """Keep an answer for a minute after it was read last."""
    answer = cache.get_or_set(name, compute, timeout=60)
    cache.touch(name, 60)
    return answer


# --8<-- [end:wrong_sliding]


# --8<-- [start:negative]
NOTHING = "nothing"  # a value that no course has; None would look like a miss


def seats_of(slug: str) -> int | None:
    """Return the seats of a course, or None. That there is none is kept, too."""
    name = key("seats", slug=slug)
    known = cache.get(name)
    if known is None:
        row = Course.objects.filter(slug=slug).values_list("seats", flat=True).first()
        known = NOTHING if row is None else row
        cache.set(name, known, 10 if row is None else 300)
    return None if known == NOTHING else known


# --8<-- [end:negative]


# --8<-- [start:appears]
def forget_that_there_is_none(sender: type[Course], instance: Course, **_: Any) -> None:
    """Delete the entry when the course is there for everybody to read."""
    name = key("seats", slug=instance.slug)
    transaction.on_commit(lambda: cache.delete(name))


# In the ready() of an app: post_save.connect(forget_that_there_is_none, sender=Course)
# --8<-- [end:appears]


# --8<-- [start:slugs]
def known_slugs() -> Any:
    """Return every slug that exists; read once a minute."""
    return cache.get_or_set(
        "courses:slugs", lambda: set(Course.objects.values_list("slug", flat=True)), 60
    )


def seats_if_known(slug: str) -> int | None:
    """Return the seats of a course, or None; only what exists gets an entry."""
    return seats_of(slug) if slug in known_slugs() else None


# --8<-- [end:slugs]
