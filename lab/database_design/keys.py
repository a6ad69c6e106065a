"""Questions that meet NULL, and a reader who trusts the order of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from lab.academy.models import Course, Learner, User

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:wrong_not_in]
def wrong_without_course() -> QuerySet[User]:
    """Return the users who teach nothing."""
    return User.objects.exclude(pk__in=Course.objects.values("teacher"))


# --8<-- [end:wrong_not_in]


# --8<-- [start:not_exists]
def without_course() -> QuerySet[User]:
    """Return the users who teach nothing."""
    taught = Course.objects.filter(teacher=OuterRef("pk"))
    return User.objects.filter(~Exists(taught))


# --8<-- [end:not_exists]


# --8<-- [start:wrong_joined_since]
def wrong_joined_since(last: int) -> list[Learner]:
    """Return the learners who are new since the last one that was seen."""
    return list(Learner.objects.filter(pk__gt=last).order_by("pk"))


# --8<-- [end:wrong_joined_since]
