"""A model in two releases: what the first one has cached, the second one loads."""

from __future__ import annotations

from django.db import models


# --8<-- [start:releases]
def first_release() -> type[models.Model]:
    """Return the model as it was yesterday."""

    class Room(models.Model):
        name = models.CharField(max_length=40)
        chairs = models.IntegerField()

        class Meta:
            app_label = "query_caching"

    return Room


def second_release() -> type[models.Model]:
    """Return the model of today: a new field, and one that was renamed."""

    class Room(models.Model):
        name = models.CharField(max_length=40)
        seats = models.IntegerField()
        floor = models.IntegerField(default=0)

        class Meta:
            app_label = "query_caching"

    return Room


# --8<-- [end:releases]
