"""A table whose rows know their version; the test makes it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Syllabus(models.Model):
    """What a course will teach, as a text that is changed often."""

    text = models.TextField()
    version = models.PositiveIntegerField(default=1)

    objects: ClassVar[models.Manager[Syllabus]] = models.Manager()

    class Meta:
        app_label = "caching_samples"

    def __str__(self) -> str:
        return self.text
