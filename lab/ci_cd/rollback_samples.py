"""Changes of data that cannot be taken back, or that only seem to be."""

from django.db import migrations

# --8<-- [start:steps]
steps_of_ten = migrations.RunSQL(
    "UPDATE academy_enrollment SET grade = grade / 10 * 10"
)
# --8<-- [end:steps]

# --8<-- [start:wrong_remove]
wrong_remove = migrations.RemoveField("Course", "description")
# --8<-- [end:wrong_remove]
