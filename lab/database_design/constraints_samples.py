"""Rooms that are booked and lockers that are lent, with rules in Python and in the database.

The tests make the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import (
    CheckConstraint,
    Deferrable,
    Exists,
    F,
    Func,
    OuterRef,
    Q,
    UniqueConstraint,
)
from django.db.models.functions import Lower
from django.http import JsonResponse

from lab.database_design.constraints import save_or_explain

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest


class Room(models.Model):
    """A room with a code on its door."""

    code = models.CharField(max_length=8, unique=True)

    class Meta:
        app_label = "database_design"


# --8<-- [start:wrong_clean]
class LooseBooking(models.Model):
    """A room is taken for a while. The rules stand in Python."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    def clean(self) -> None:
        """Refuse what ends before it starts, and what meets another booking."""
        if self.ends_at <= self.starts_at:
            raise ValidationError("A booking ends after it starts.")
        if meeting(self).exclude(pk=self.pk).exists():
            raise ValidationError("The room is taken at that time.")

    # --8<-- [end:wrong_clean]
    class Meta:
        app_label = "database_design"


# --8<-- [start:meeting]
def meeting(booking: LooseBooking) -> QuerySet[LooseBooking]:
    """Return the bookings of the same room whose time meets that of a booking."""
    return LooseBooking._default_manager.filter(
        room=booking.room,
        starts_at__lt=booking.ends_at,
        ends_at__gt=booking.starts_at,
    )


# --8<-- [end:meeting]


# --8<-- [start:wrong_book]
def wrong_book(room: Room, starts_at: datetime, ends_at: datetime) -> None:
    """Book a room, if it is free."""
    booking = LooseBooking(room=room, starts_at=starts_at, ends_at=ends_at)
    booking.full_clean()
    booking.save()


# --8<-- [end:wrong_book]


# --8<-- [start:booking]
class TimeRange(Func):
    """The time from one moment until, but not including, another."""

    function = "TSTZRANGE"
    output_field = DateTimeRangeField()


class Booking(models.Model):
    """A room is taken for a while. The rules stand in the database."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    cancelled = models.BooleanField(default=False)

    class Meta:
        app_label = "database_design"
        constraints = [
            CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="booking_ends_after_start",
                violation_error_message="A booking ends after it starts.",
            ),
            ExclusionConstraint(
                name="one_booking_at_a_time",
                expressions=[
                    ("room", RangeOperators.EQUAL),
                    (TimeRange("starts_at", "ends_at"), RangeOperators.OVERLAPS),
                ],
                condition=Q(cancelled=False),
                violation_error_message="The room is taken at that time.",
                violation_error_code="taken",
            ),
        ]


# --8<-- [end:booking]


# --8<-- [start:view]
FIELDS = ("room_id", "starts_at", "ends_at")


def book(request: HttpRequest) -> JsonResponse:
    """Book a room, or say why not."""
    booking = Booking(**{name: request.POST[name] for name in FIELDS})
    try:
        save_or_explain(booking)
    except ValidationError as error:
        return JsonResponse({"errors": error.messages}, status=409)
    return JsonResponse({"id": booking.pk}, status=201)


# --8<-- [end:view]


# --8<-- [start:locker]
class Locker(models.Model):
    """A locker, who has it, and where it stands in the list."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT)
    label = models.CharField(max_length=4)
    number = models.IntegerField()
    wing = models.CharField(max_length=8, null=True, blank=True)
    place = models.IntegerField()
    learner = models.CharField(max_length=80)
    given_back = models.DateField(null=True, blank=True)

    class Meta:
        app_label = "database_design"
        constraints = [
            CheckConstraint(condition=Q(number__gte=1), name="number_from_1"),
            # a1 is A1
            UniqueConstraint(Lower("label"), name="label_once"),
            # nobody has two; what was given back does not count
            UniqueConstraint(
                fields=["learner"],
                condition=Q(given_back=None),
                name="one_locker_each",
            ),
            # a house without wings has a number once, too
            UniqueConstraint(
                fields=["room", "wing", "number"],
                nulls_distinct=False,
                name="number_once",
            ),
            # looked at when the transaction ends
            UniqueConstraint(
                fields=["place"],
                deferrable=Deferrable.DEFERRED,
                name="place_once",
            ),
        ]


# --8<-- [end:locker]


# --8<-- [start:overlapping]
def overlapping() -> QuerySet[LooseBooking]:
    """Return the bookings that meet another one of the same room."""
    other = LooseBooking._default_manager.filter(
        room=OuterRef("room"),
        starts_at__lt=OuterRef("ends_at"),
        ends_at__gt=OuterRef("starts_at"),
    ).exclude(pk=OuterRef("pk"))
    return LooseBooking._default_manager.filter(Exists(other))


# --8<-- [end:overlapping]
