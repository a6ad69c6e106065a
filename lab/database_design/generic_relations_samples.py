"""A fault is reported about a room or about a projector: four designs.

The tests make the tables.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import CharField, F, Q, Value

if TYPE_CHECKING:
    from typing import Any

    from django.db.models import QuerySet


class Room(models.Model):
    """A room."""

    name = models.CharField(max_length=40)

    class Meta:
        app_label = "database_design"

    def __str__(self) -> str:
        return self.name


class Projector(models.Model):
    """A projector, which is carried from room to room."""

    name = models.CharField(max_length=40)

    class Meta:
        app_label = "database_design"

    def __str__(self) -> str:
        return self.name


class Laptop(models.Model):
    """A laptop that is lent. Its key is a UUID."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=40)

    class Meta:
        app_label = "database_design"


# --8<-- [start:wrong_generic]
class AnyFault(models.Model):
    """Something is broken, wherever it is."""

    text = models.CharField(max_length=200)
    content_type = models.ForeignKey(
        ContentType, on_delete=models.CASCADE, related_name="+"
    )
    object_id = models.PositiveBigIntegerField()
    subject = GenericForeignKey()

    # --8<-- [end:wrong_generic]
    class Meta:
        app_label = "database_design"


# --8<-- [start:fault]
class Fault(models.Model):
    """Something is broken, in a room or in a projector."""

    text = models.CharField(max_length=200)
    room = models.ForeignKey(Room, models.CASCADE, null=True)
    projector = models.ForeignKey(Projector, models.PROTECT, null=True)

    class Meta:
        app_label = "database_design"
        constraints = [
            models.CheckConstraint(
                condition=Q(room=None, projector__isnull=False)
                | Q(room__isnull=False, projector=None),
                name="fault_has_one_subject",
            )
        ]

    @property
    def subject(self) -> Room | Projector | None:
        """What is broken."""
        found: Room | Projector | None = self.room or self.projector
        return found


# --8<-- [end:fault]


# --8<-- [start:asset]
class Asset(models.Model):
    """Whatever can be broken."""

    name = models.CharField(max_length=40)

    class Meta:
        app_label = "database_design"


class OwnedRoom(Asset):
    """A room: its primary key is also a foreign key to its asset."""

    seats = models.PositiveSmallIntegerField()

    class Meta:
        app_label = "database_design"


class OwnedProjector(Asset):
    """A projector."""

    lumens = models.PositiveIntegerField()

    class Meta:
        app_label = "database_design"


class AssetFault(models.Model):
    """Something is broken."""

    text = models.CharField(max_length=200)
    subject = models.ForeignKey(Asset, on_delete=models.CASCADE)

    class Meta:
        app_label = "database_design"


# --8<-- [end:asset]


# --8<-- [start:tables]
class BaseFault(models.Model):
    """What all faults have."""

    text = models.CharField(max_length=200)

    class Meta:
        abstract = True
        app_label = "database_design"


class RoomFault(BaseFault):
    """Something is broken in a room."""

    subject = models.ForeignKey(Room, on_delete=models.CASCADE)


class ProjectorFault(BaseFault):
    """Something is broken in a projector."""

    subject = models.ForeignKey(Projector, on_delete=models.PROTECT)


def all_faults() -> QuerySet[Any, dict[str, Any]]:
    """Return the faults of both tables, each with the name of its subject."""
    rooms, projectors = (
        model._default_manager.values(
            "text",
            name=F("subject__name"),
            kind=Value(kind, output_field=CharField()),
        )
        for model, kind in ((RoomFault, "room"), (ProjectorFault, "projector"))
    )
    return rooms.union(projectors, all=True).order_by("name", "text")


# --8<-- [end:tables]
