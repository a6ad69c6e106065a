"""What a key has to hold, and how long an entry may live."""

from __future__ import annotations

import json
import random
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

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
def new_version() -> str:
    """Return a version that was never there."""
    return uuid4().hex


def in_course(course: int, name: str) -> str:
    """Return a key that ends with the next version of the course."""
    stored = f"course:{course}:version"
    version = cache.get_or_set(stored, new_version, timeout=None)
    return f"course:{course}:v{version}:{name}"


def forget_course(course: int) -> None:
    """End every entry of the course, however many there are."""
    cache.set(f"course:{course}:version", new_version(), timeout=None)


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
@transaction.atomic
def create_course(**values: Any) -> Course:
    """Create a course, and delete what says that there is none."""
    course = Course.objects.create(**values)
    names = [key("seats", slug=course.slug), "courses:slugs"]
    transaction.on_commit(partial(cache.delete_many, names))
    return course


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
