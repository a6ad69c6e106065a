"""Changes of a large table while people write to it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models, transaction
from django.db.models import F

APP = "academy"


class Pointed(models.Model):
    """An enrollment, with a column that one of the changes adds."""

    grade = models.PositiveSmallIntegerField(null=True)
    points = models.PositiveSmallIntegerField(null=True)

    objects: ClassVar[models.Manager[Pointed]]

    class Meta:
        app_label = "database_design"
        db_table = "academy_enrollment"
        managed = False


# --8<-- [start:wrong_fill]
def wrong_fill() -> None:
    """Give the enrollments that have a grade their points."""
    Pointed.objects.filter(points=None, grade__gt=0).update(points=F("grade") * 2)


# --8<-- [end:wrong_fill]


# --8<-- [start:fill]
def fill(size: int = 1000) -> None:
    """Give the enrollments that have a grade their points, some at a time."""
    open_rows = Pointed.objects.filter(points=None, grade__gt=0).order_by("pk")
    last = 0
    while keys := list(
        open_rows.filter(pk__gt=last).values_list("pk", flat=True)[:size]
    ):
        with transaction.atomic():
            rows = Pointed.objects.filter(pk__in=keys, points=None)
            rows.update(points=F("grade") * 2)
        last = keys[-1]


# --8<-- [end:fill]


# --8<-- [start:index]
class IndexTheDay(migrations.Migration):
    """Add an index while writes go on."""

    atomic = False
    operations = [
        AddIndexConcurrently(
            "enrollment",
            models.Index(fields=["enrolled_on"], name="enrollment_day"),
        )
    ]


# --8<-- [end:index]


# --8<-- [start:constraint]
class CheckNewRows(migrations.Migration):
    """Hold new rows to a rule at once."""

    operations = [
        AddConstraintNotValid(
            "enrollment",
            models.CheckConstraint(
                condition=models.Q(grade__gte=1), name="grade_at_least_1"
            ),
        )
    ]


class CheckOldRows(migrations.Migration):
    """Read the old rows, while writes go on."""

    operations = [ValidateConstraint("enrollment", "grade_at_least_1")]


# --8<-- [end:constraint]
