"""Entries whose rows change: who removes them, when, and what a reader stores meanwhile."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import F

from lab.academy.models import Course
from lab.caching.invalidation_samples import Syllabus

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:card]
def card_key(pk: int) -> str:
    """Return the key of a course's card."""
    return f"course:{pk}:card"


def load_card(pk: int) -> dict[str, Any]:
    """Ask the database for what a list shows of a course."""
    return dict(Course.objects.values("id", "title").get(pk=pk))


def card(pk: int) -> dict[str, Any]:
    """Return the same, kept for five minutes."""
    found: dict[str, Any] | None = cache.get(card_key(pk))
    if found is None:
        found = load_card(pk)
        cache.set(card_key(pk), found, timeout=300)
    return found


# --8<-- [end:card]


# --8<-- [start:wrong_inside]
@transaction.atomic
def wrong_rename(pk: int, title: str) -> None:
    """Give a course another title."""
    Course.objects.filter(pk=pk).update(title=title)
    cache.delete(card_key(pk))


# --8<-- [end:wrong_inside]


# --8<-- [start:rename]
@transaction.atomic
def rename(pk: int, title: str) -> None:
    """Give a course another title."""
    Course.objects.filter(pk=pk).update(title=title)
    transaction.on_commit(partial(cache.delete, card_key(pk)))


# --8<-- [end:rename]


# --8<-- [start:wrong_signal]
def wrong_forget(instance: Course, **_: Any) -> None:
    """Delete the card of a course that was saved."""
    transaction.on_commit(partial(cache.delete, card_key(instance.pk)))


# --8<-- [end:wrong_signal]


# --8<-- [start:wrong_through]
@transaction.atomic
def wrong_rename_through(pk: int, title: str) -> None:
    """Give a course another title, and store the new card."""
    Course.objects.filter(pk=pk).update(title=title)
    new = {"id": pk, "title": title}
    transaction.on_commit(partial(cache.set, card_key(pk), new, timeout=300))


# --8<-- [end:wrong_through]


def card_if_absent(pk: int) -> dict[str, Any]:
    """Return a card; what another has stored meanwhile is left alone."""
    kept: Any = cache.get_or_set(card_key(pk), partial(load_card, pk), timeout=300)
    return dict(kept)


# --8<-- [start:kept]
def stamp(name: str) -> str:
    """Return the stamp that is in force for what belongs to a name."""
    make = partial(str, uuid.uuid4())
    return str(cache.get_or_set(f"{name}:stamp", make, timeout=None))


def kept(name: str, part: str, load: Callable[[], Any], timeout: int) -> Any:
    """Return a part of what belongs to a name; load it if nobody has."""
    key = f"{name}:{stamp(name)}:{part}"  # before the database is asked
    return cache.get_or_set(key, load, timeout=timeout)


def retire(*names: str) -> None:
    """Let nobody find again what is kept under these names."""
    new = {f"{name}:stamp": str(uuid.uuid4()) for name in names}
    cache.set_many(new, timeout=None)


# --8<-- [end:kept]


# --8<-- [start:change]
def stamped_card(pk: int) -> dict[str, Any]:
    """Return what a list shows of a course."""
    card: dict[str, Any] = kept(f"course:{pk}", "card", partial(load_card, pk), 300)
    return card


@transaction.atomic
def change_courses(pks: list[int], **values: Any) -> None:
    """Write to courses. Nothing else in this project does."""
    Course.objects.filter(pk__in=pks).update(**values)
    names = [f"course:{pk}" for pk in pks]
    transaction.on_commit(partial(retire, *names, "courses"))


# --8<-- [end:change]


# --8<-- [start:row]
def syllabus(pk: int) -> str:
    """Return a syllabus as HTML; its version is asked for each time."""
    version = Syllabus.objects.values_list("version", flat=True).get(pk=pk)
    key = f"syllabus:{pk}:v{version}"
    return str(cache.get_or_set(key, partial(render, pk), timeout=3600))


def rewrite(pk: int, text: str) -> None:
    """Replace the text. No entry is deleted."""
    Syllabus.objects.filter(pk=pk).update(text=text, version=F("version") + 1)


# --8<-- [end:row]


def render(pk: int) -> str:
    """Return the syllabus as HTML; stands in for what takes long."""
    return f"<p>{Syllabus.objects.values_list('text', flat=True).get(pk=pk)}</p>"
