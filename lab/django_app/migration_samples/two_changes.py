"""Two changes in one migration; the rows of a full academy break the second."""

from django.db import migrations, models


# --8<-- [start:wrong_two_changes]
class Migration(migrations.Migration):
    """Gives courses a room, and rooms their size."""

    dependencies = [("academy", "0004_course_slug_required")]

    operations = [
        migrations.AddField(
            "course", "room", models.CharField(max_length=20, db_default="")
        ),
        migrations.AddConstraint(
            "course",
            models.CheckConstraint(
                condition=models.Q(seats__lte=20), name="course_fits_a_room"
            ),
        ),
    ]


# --8<-- [end:wrong_two_changes]
