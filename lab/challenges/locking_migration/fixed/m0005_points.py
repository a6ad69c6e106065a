"""Points of an enrollment: the column."""

from django.db import migrations, models


# --8<-- [start:column]
class Migration(migrations.Migration):
    """Add the column, or give up soon and leave nothing behind."""

    dependencies = [("academy", "0004_course_slug_required")]
    operations = [
        migrations.RunSQL(
            "SET LOCAL lock_timeout = '1s'", reverse_sql=migrations.RunSQL.noop
        ),
        migrations.AddField(
            "enrollment", "points", models.PositiveSmallIntegerField(null=True)
        ),
    ]


# --8<-- [end:column]
