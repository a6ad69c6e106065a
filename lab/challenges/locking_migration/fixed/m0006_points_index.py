"""Points of an enrollment: the index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


# --8<-- [start:index]
class Migration(migrations.Migration):
    """Build the index while writes go on."""

    atomic = False
    dependencies = [("academy", "m0005_points")]
    operations = [
        AddIndexConcurrently(
            "enrollment", models.Index(fields=["points"], name="enrollment_points")
        )
    ]


# --8<-- [end:index]
