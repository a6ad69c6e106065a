"""Points of an enrollment, and an index to list the best by."""

from django.db import migrations, models


# --8<-- [start:wrong_migration]
class Migration(migrations.Migration):
    """Add the column and its index."""

    dependencies = [("academy", "0004_course_slug_required")]
    operations = [
        migrations.AddField(
            "enrollment", "points", models.PositiveSmallIntegerField(null=True)
        ),
        migrations.AddIndex(
            "enrollment", models.Index(fields=["points"], name="enrollment_points")
        ),
    ]


# --8<-- [end:wrong_migration]
