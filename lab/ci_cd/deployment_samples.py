"""Changes of a table that the old release meets while the new one is put in its place."""

from django.db import migrations, models

# --8<-- [start:wrong_language]
wrong_language = migrations.AddField(
    "Course", "language", models.CharField(max_length=2, default="en")
)
# --8<-- [end:wrong_language]

# --8<-- [start:language]
language = migrations.AddField(
    "Course", "language", models.CharField(max_length=2, db_default="en")
)
# --8<-- [end:language]

CHANGES = {
    "add a column that may be null": migrations.AddField(
        "Course", "language", models.CharField(max_length=2, null=True)
    ),
    "add a required column, `default`": wrong_language,
    "add a required column, `db_default`": language,
    "forbid null in `teacher`": migrations.RunSQL(
        "ALTER TABLE academy_course ALTER teacher_id SET NOT NULL"
    ),
    "drop `description`": migrations.RemoveField("Course", "description"),
    "rename `seats`": migrations.RenameField("Course", "seats", "places"),
}
