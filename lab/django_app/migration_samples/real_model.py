"""A data migration for the academy as it was before courses had slugs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import migrations

if TYPE_CHECKING:
    from django.apps.registry import Apps
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


# --8<-- [start:wrong_real_model]
def tidy(_apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Take the spaces around titles away."""
    from lab.academy.models import Course  # the model of today

    for course in Course.objects.all():
        course.title = course.title.strip()
        course.save(update_fields=["title"])


class Migration(migrations.Migration):
    """Runs before 0002 adds the slug."""

    dependencies = [("academy", "0001_initial")]

    operations = [migrations.RunPython(tidy)]


# --8<-- [end:wrong_real_model]
