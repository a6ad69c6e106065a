"""Questions of the academy, and the indexes that answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.postgres.indexes import GinIndex
from django.db.models import Avg, F, Index, Q
from django.db.models.functions import Lower, Upper

from lab.academy.models import Enrollment, Learner

if TYPE_CHECKING:
    import datetime

    from django.db.models import QuerySet


# --8<-- [start:latest]
def latest() -> QuerySet[Enrollment]:
    """Return the newest enrollments of all courses."""
    return Enrollment.objects.order_by("-enrolled_on", "-pk")[:20]


LATEST = Index(fields=["enrolled_on", "id"], name="latest")
# --8<-- [end:latest]


# --8<-- [start:period]
def joined_since(course: int, day: datetime.date) -> int:
    """Return how many have joined a course since a day."""
    mine = Enrollment.objects.filter(course=course, enrolled_on__gte=day)
    return mine.count()


EQUALITY_FIRST = Index(fields=["course", "enrolled_on"], name="equality_first")
RANGE_FIRST = Index(fields=["enrolled_on", "course"], name="range_first")
# --8<-- [end:period]

# --8<-- [start:skip]
GRADE_FIRST = Index(fields=["grade", "enrolled_on"], name="grade_first")
# --8<-- [end:skip]


# --8<-- [start:best]
def best(course: int) -> QuerySet[Enrollment]:
    """Return the best enrollments of a course; who has no grade yet comes last."""
    mine = Enrollment.objects.filter(course=course)
    return mine.order_by(F("grade").desc(nulls_last=True))[:10]


# --8<-- [end:best]
# --8<-- [start:wrong_best]
WRONG_BEST = Index(fields=["course", "-grade"], name="wrong_best")
# --8<-- [end:wrong_best]
# --8<-- [start:index_best]
BEST = Index(F("course"), F("grade").desc(nulls_last=True), name="best")
# --8<-- [end:index_best]


# --8<-- [start:ungraded]
def ungraded(course: int) -> QuerySet[Enrollment]:
    """Return who waits longest for a grade."""
    mine = Enrollment.objects.filter(course=course, grade__isnull=True)
    return mine.order_by("enrolled_on")[:20]


UNGRADED = Index(
    fields=["course", "enrolled_on"],
    condition=Q(grade__isnull=True),
    name="ungraded",
)
# --8<-- [end:ungraded]


# --8<-- [start:covering]
def average(course: int) -> dict[str, float]:
    """Return the average grade of a course."""
    return Enrollment.objects.filter(course=course).aggregate(mean=Avg("grade"))


GRADES = Index(fields=["course"], include=["grade"], name="grades")
# --8<-- [end:covering]


# --8<-- [start:wrong_email]
def by_email(email: str) -> QuerySet[Learner]:
    """Return the learner with an address, in whatever case somebody typed it."""
    return Learner.objects.filter(email__iexact=email)


WRONG_EMAIL = Index(Lower("email"), name="wrong_email")
# --8<-- [end:wrong_email]
# --8<-- [start:email]
EMAIL = Index(Upper("email"), name="email_in_any_case")
# --8<-- [end:email]


# --8<-- [start:trigram]
def find(text: str) -> QuerySet[Learner]:
    """Return the learners with a text anywhere in their address."""
    return Learner.objects.filter(email__contains=text.lower())


FIND = GinIndex(fields=["email"], opclasses=["gin_trgm_ops"], name="find")
# --8<-- [end:trigram]
