"""Numbers over many rows: counted by the database, and counted wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import (
    Avg,
    Case,
    Count,
    Exists,
    F,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Rank, TruncMonth

from lab.academy.models import Certificate, Course, Enrollment, Lesson

if TYPE_CHECKING:
    from django.db.models import Aggregate, Model, QuerySet


# --8<-- [start:levels]
def levels() -> QuerySet[Any]:
    """Return the courses and seats of the levels with 70 seats or more."""
    groups = Course.objects.values("level")
    groups = groups.annotate(courses=Count("pk"), places=Sum("seats"))
    return groups.filter(places__gte=70).order_by("level")


# --8<-- [end:levels]


# --8<-- [start:wrong_sizes]
def wrong_sizes() -> QuerySet[Any]:
    """Return the courses with how many lessons and enrollments they have."""
    return Course.objects.annotate(
        parts=Count("lessons"),
        people=Count("enrollments"),
        minutes=Sum("lessons__minutes"),
    )


# --8<-- [end:wrong_sizes]


# --8<-- [start:distinct_sizes]
def distinct_sizes() -> QuerySet[Any]:
    """Return the courses with how many lessons and enrollments they have."""
    return Course.objects.annotate(
        parts=Count("lessons", distinct=True),
        people=Count("enrollments", distinct=True),
    )


# --8<-- [end:distinct_sizes]


# --8<-- [start:sizes]
def per_course(model: type[Model], number: Aggregate) -> Coalesce:
    """Return a number over the rows that belong to the course of the outer query."""
    rows = model._default_manager.filter(course=OuterRef("pk"))
    groups = rows.values("course").annotate(number=number)
    return Coalesce(Subquery(groups.values("number")), 0)


def sizes() -> QuerySet[Any]:
    """Return the courses with how many lessons and enrollments they have."""
    return Course.objects.annotate(
        parts=per_course(Lesson, Count("pk")),
        people=per_course(Enrollment, Count("pk")),
        minutes=per_course(Lesson, Sum("minutes")),
    )


# --8<-- [end:sizes]


# --8<-- [start:results]
def results() -> QuerySet[Any]:
    """Return the courses with how many people passed, failed and still wait."""
    passed = Q(enrollments__grade__gte=60)
    failed = Q(enrollments__grade__lt=60)
    waiting = Q(enrollments__grade=None)
    return Course.objects.annotate(
        passed=Count("enrollments", filter=passed),
        failed=Count("enrollments", filter=failed),
        waiting=Count("enrollments", filter=waiting),
    ).order_by("title")


# --8<-- [end:results]


# --8<-- [start:newest]
def newest() -> QuerySet[Any]:
    """Return the courses that gave a certificate, with who joined last."""
    joined = Enrollment.objects.filter(course=OuterRef("pk"))
    joined = joined.order_by("-enrolled_on", "-pk")
    given = Certificate.objects.filter(enrollment__course=OuterRef("pk"))
    return Course.objects.filter(Exists(given)).annotate(
        last=Subquery(joined.values("learner__name")[:1])
    )


# --8<-- [end:newest]


# --8<-- [start:bands]
def bands() -> QuerySet[Any]:
    """Return how many enrollments are in each band of grades."""
    band = Case(
        When(grade=None, then=Value("none yet")),
        When(grade__gte=80, then=Value("good")),
        When(grade__gte=60, then=Value("passed")),
        default=Value("failed"),
    )
    groups = Enrollment.objects.annotate(band=band).values("band")
    return groups.annotate(number=Count("pk")).order_by("band")


# --8<-- [end:bands]


# --8<-- [start:best]
def best(places: int) -> QuerySet[Any]:
    """Return the best enrollments of each course."""
    place = Window(Rank(), partition_by=F("course"), order_by=F("grade").desc())
    graded = Enrollment.objects.exclude(grade=None).annotate(place=place)
    return graded.filter(place__lte=places).order_by("course__title", "place", "pk")


# --8<-- [end:best]


# --8<-- [start:months]
def months() -> QuerySet[Any]:
    """Return how many people joined in each month, and their average grade."""
    groups = Enrollment.objects.values(month=TruncMonth("enrolled_on"))
    groups = groups.annotate(people=Count("pk"), average=Avg("grade"))
    return groups.order_by("month")


# --8<-- [end:months]
