"""Study groups, which PostgreSQL and MariaDB store differently. The tests make the tables."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from django.db import IntegrityError, connection, migrations, models, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable


class Everything(models.Model):
    """A column of each type that differs."""

    boolean = models.BooleanField()
    positive = models.PositiveIntegerField()
    text = models.CharField(max_length=200)
    long_text = models.TextField()
    moment = models.DateTimeField()
    duration = models.DurationField()
    key = models.UUIDField()
    document = models.JSONField()

    class Meta:
        app_label = "database_design"


# --8<-- [start:group]
class StudyGroup(models.Model):
    """Learners who meet at a table of their own."""

    name = models.CharField(max_length=40, unique=True)
    desk = models.PositiveSmallIntegerField(unique=True, null=True)
    seats = models.PositiveSmallIntegerField(default=4)

    # --8<-- [end:group]
    class Meta:
        app_label = "database_design"

    def __str__(self) -> str:
        return self.name


class OldGroup(models.Model):
    """A study group before its names were unique."""

    name = models.CharField(max_length=40)

    class Meta:
        app_label = "database_design"


# --8<-- [start:wrong_migration]
class WrongMigration(migrations.Migration):
    """Give groups a flag, and let no two of them have one name."""

    operations = [
        migrations.AddField("oldgroup", "closed", models.BooleanField(default=False)),
        migrations.AddConstraint(
            "oldgroup",
            models.UniqueConstraint(fields=["name"], name="group_name_once"),
        ),
    ]


# --8<-- [end:wrong_migration]


# --8<-- [start:wrong_add]
@transaction.atomic
def wrong_add(names: Iterable[str]) -> None:
    """Store the groups that are new."""
    for name in names:
        with suppress(IntegrityError), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO database_design_studygroup (name, seats) VALUES (%s, 4)",
                [name],
            )


# --8<-- [end:wrong_add]


# --8<-- [start:add]
@transaction.atomic
def add(names: Iterable[str]) -> None:
    """Store the groups that are new."""
    for name in names:
        with suppress(IntegrityError), transaction.atomic():  # a savepoint
            StudyGroup._default_manager.create(name=name)


# --8<-- [end:add]


# --8<-- [start:upsert]
def upsert(groups: Iterable[StudyGroup]) -> list[StudyGroup]:
    """Store groups; one whose name is there gets the new desk and seats."""
    targeted = connection.features.supports_update_conflicts_with_target
    return StudyGroup._default_manager.bulk_create(
        groups,
        update_conflicts=True,
        unique_fields=["name"] if targeted else None,
        update_fields=["desk", "seats"],
    )


# --8<-- [end:upsert]
