"""What goes when a row goes: rooms and their slots, once for each behavior.

The tests make the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:slot]
def slot_model(on_delete: Any, **options: Any) -> type[models.Model]:
    """Return a model of the hours in a room, with this ``on_delete``."""

    class Slot(models.Model):
        day = models.CharField(max_length=10)
        room = models.ForeignKey(
            "Room", on_delete=on_delete, null=True, related_name="slots", **options
        )

        class Meta:
            app_label = "database_design"

    return Slot


# --8<-- [end:slot]


def room_model() -> type[models.Model]:
    """Return the model of the rooms that slots are in."""

    class Room(models.Model):
        name = models.CharField(max_length=40)

        class Meta:
            app_label = "database_design"

    return Room


def house_models(on_delete: Callable[..., None]) -> list[type[models.Model]]:
    """Return houses, their rooms, and bookings that keep a room with this behavior."""

    # --8<-- [start:house]
    class House(models.Model):
        name = models.CharField(max_length=40)

        class Meta:
            app_label = "database_design"

    class Hall(models.Model):
        house = models.ForeignKey(House, models.CASCADE)

        class Meta:
            app_label = "database_design"

    class Booking(models.Model):
        house = models.ForeignKey(House, models.CASCADE)
        hall = models.ForeignKey(Hall, on_delete)

        class Meta:
            app_label = "database_design"

    # --8<-- [end:house]
    return [House, Hall, Booking]


# --8<-- [start:wrong_soft]
class Living(models.Manager["Member"]):
    """Members who have not been deleted."""

    def get_queryset(self) -> models.QuerySet[Member]:
        """Leave out who was deleted."""
        return super().get_queryset().filter(deleted_at=None)


class Member(models.Model):
    """Somebody who can come back."""

    email = models.EmailField(unique=True)
    deleted_at = models.DateTimeField(null=True)

    objects = Living()
    everybody: models.Manager[Member] = models.Manager()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Mark the row in place of deleting it."""
        self.deleted_at = timezone.now()
        self.save(update_fields=["deleted_at"])
        return 1, {self._meta.label: 1}

    # --8<-- [end:wrong_soft]
    class Meta:
        app_label = "database_design"


class Loan(models.Model):
    """A member borrows a book."""

    member = models.ForeignKey(Member, models.CASCADE, related_name="loans")
    book = models.CharField(max_length=40)

    class Meta:
        app_label = "database_design"


# --8<-- [start:soft]
class Account(models.Model):
    """Somebody who can come back, with an address that others may take meanwhile."""

    email = models.EmailField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "database_design"
        constraints = [
            models.UniqueConstraint(
                fields=["email"],
                condition=Q(deleted_at=None),
                name="one_account_an_address",
            )
        ]


# --8<-- [end:soft]


# --8<-- [start:archive]
class FormerMember(models.Model):
    """What is kept of somebody who left."""

    number = models.BigIntegerField(unique=True)
    kept = models.JSONField()
    left_at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label = "database_design"


@transaction.atomic
def archive(member: Member) -> None:
    """Move a member, with the loans, out of the tables in use."""
    member = Member.everybody.select_for_update().get(pk=member.pk)
    FormerMember._default_manager.create(
        number=member.pk,
        kept={
            "email": member.email,
            "loans": list(Loan._default_manager.filter(member=member).values("book")),
        },
    )
    Member.everybody.filter(pk=member.pk).delete()


# --8<-- [end:archive]
