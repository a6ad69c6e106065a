"""Models with other keys than the academy's. The tests make their tables."""

from __future__ import annotations

from django.db import models


# --8<-- [start:wrong_code]
class CodedRoom(models.Model):
    """A room, known by what is written on its door."""

    code = models.CharField(max_length=8, primary_key=True)
    seats = models.PositiveSmallIntegerField()

    # --8<-- [end:wrong_code]
    class Meta:
        app_label = "database_design"


class CodedSlot(models.Model):
    """When a course meets in such a room."""

    room = models.ForeignKey(CodedRoom, on_delete=models.PROTECT)
    course = models.CharField(max_length=80)

    class Meta:
        app_label = "database_design"


# --8<-- [start:room]
class Room(models.Model):
    """A room. The code on its door is unique, and may change."""

    code = models.CharField(max_length=8, unique=True)
    seats = models.PositiveSmallIntegerField()

    # --8<-- [end:room]
    class Meta:
        app_label = "database_design"


class Slot(models.Model):
    """When a course meets in a room."""

    room = models.ForeignKey(Room, on_delete=models.PROTECT)
    course = models.CharField(max_length=80)

    class Meta:
        app_label = "database_design"


# --8<-- [start:upload]
class Uuid7(models.Func):
    """PostgreSQL's uuidv7(), as UUID7 in Django 6.1."""

    function = "UUIDV7"
    arity = 0
    output_field = models.UUIDField()


class Upload(models.Model):
    """A file that somebody hands in."""

    id = models.UUIDField(primary_key=True, db_default=Uuid7(), editable=False)
    name = models.CharField(max_length=80)

    # --8<-- [end:upload]
    class Meta:
        app_label = "database_design"


# --8<-- [start:attendance]
class Attendance(models.Model):
    """A learner was in a lesson."""

    pk = models.CompositePrimaryKey("lesson_id", "learner_id")
    lesson_id = models.BigIntegerField()
    learner_id = models.BigIntegerField()
    late = models.BooleanField(default=False)

    # --8<-- [end:attendance]
    class Meta:
        app_label = "database_design"
