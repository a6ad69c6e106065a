"""The table that the sign-up form writes to. The tests make it; the lab does not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypedDict

from django.db import models

if TYPE_CHECKING:
    import datetime


# --8<-- [start:form]
class Form(TypedDict):
    """What the sign-up form sends: the course's data come along from the page."""

    email: str
    learner: str
    course: str
    starts_on: datetime.date
    ends_on: datetime.date
    tags: str  # separated by commas


# --8<-- [end:form]


# --8<-- [start:signup]
class Signup(models.Model):
    """A form as it came, one row each."""

    email = models.EmailField()
    learner = models.CharField(max_length=80)
    course = models.CharField(max_length=120)
    starts_on = models.DateField()
    ends_on = models.DateField()
    tags = models.CharField(max_length=200)

    # --8<-- [end:signup]
    objects: ClassVar[models.Manager[Signup]] = models.Manager()

    class Meta:
        app_label = "challenges"
