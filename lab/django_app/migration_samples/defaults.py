"""A default that Python knows, and one that the database knows."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Gives courses a room and a price."""

    dependencies = [("academy", "0004_course_slug_required")]

    # --8<-- [start:defaults]
    operations = [
        migrations.AddField(
            "course", "room", models.CharField(max_length=20, default="")
        ),
        migrations.AddField("course", "price", models.IntegerField(db_default=0)),
    ]
    # --8<-- [end:defaults]
