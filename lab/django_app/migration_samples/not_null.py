"""A column that may not be empty, for rows that have nothing to put there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Gives courses a room."""

    dependencies = [("academy", "0004_course_slug_required")]

    # --8<-- [start:wrong_not_null]
    operations = [
        migrations.AddField("course", "room", models.CharField(max_length=20)),
        migrations.AddField("course", "price", models.IntegerField()),
    ]
    # --8<-- [end:wrong_not_null]
