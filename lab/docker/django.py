"""Migrations when several copies start at once: ``python -m lab.docker.django`` takes turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import django
from django.core.management import call_command
from django.db import connection
from django.db.models import F

if TYPE_CHECKING:
    from django.apps.registry import Apps


# --8<-- [start:wrong_five_seats]
def wrong_five_seats(apps: Apps, _schema_editor: object) -> None:
    """Give each course five more seats."""
    courses = apps.get_model("academy", "Course").objects
    courses.update(seats=F("seats") + 5)


# --8<-- [end:wrong_five_seats]

# --8<-- [start:in_turn]
LOCK = 20260105  # any number that nothing else in this database locks


def migrate_in_turn() -> None:
    """Migrate; who comes at the same moment waits, and then finds nothing to do."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            if cursor.fetchone() == (True,):
                break
            time.sleep(1)
        try:
            call_command("migrate", interactive=False)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


# --8<-- [end:in_turn]

if __name__ == "__main__":
    django.setup()
    migrate_in_turn()
