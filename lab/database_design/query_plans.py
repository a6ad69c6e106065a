"""Questions whose plans are read, and how to read the plan of a statement that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection, transaction

from lab.academy.models import Certificate, Enrollment

if TYPE_CHECKING:
    import datetime

    from django.db.models import QuerySet


# --8<-- [start:passed]
def passed(course: int) -> QuerySet[Enrollment]:
    """Return the enrollments of a course that earned a certificate, newest first."""
    mine = Enrollment.objects.filter(course=course, grade__gte=80)
    return mine.select_related("learner").order_by("-enrolled_on", "-pk")


# --8<-- [end:passed]


# --8<-- [start:waiting]
def waiting(day: datetime.date) -> QuerySet[Enrollment]:
    """Return who joined on a day and has no grade yet."""
    new = Enrollment.objects.filter(enrolled_on=day, grade__isnull=True)
    return new.select_related("learner").order_by()


# --8<-- [end:waiting]


# --8<-- [start:members]
def members(course: int) -> QuerySet[Enrollment]:
    """Return all enrollments of a course, in no order."""
    mine = Enrollment.objects.filter(course=course)
    return mine.select_related("learner").order_by()


# --8<-- [end:members]


def certificates() -> QuerySet[Certificate]:
    """Return all certificates with their enrollments, in the order of these."""
    return Certificate.objects.select_related("enrollment").order_by("enrollment_id")


# --8<-- [start:wrong_plan]
def wrong_plan(course: int) -> None:
    """Print how the database would raise the grades of a course."""
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) "
            "UPDATE academy_enrollment SET grade = grade + 1 "
            "WHERE course_id = %s AND grade < 100",
            [course],
        )
        print(*(line for (line,) in cursor.fetchall()), sep="\n")


# --8<-- [end:wrong_plan]


# --8<-- [start:plan]
def plan(course: int) -> None:
    """Print how the database would raise the grades of a course."""
    with transaction.atomic():
        wrong_plan(course)
        transaction.set_rollback(True)


# --8<-- [end:plan]
