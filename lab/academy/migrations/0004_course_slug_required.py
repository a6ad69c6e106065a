"""Step three of three, once all running code writes slugs: the column may not be empty any more."""

from django.db import migrations, models


class Migration(migrations.Migration):
    # --8<-- [start:require]
    dependencies = [("academy", "0003_fill_course_slugs")]

    operations = [
        migrations.AlterField(
            "course", "slug", models.SlugField(max_length=140, unique=True)
        ),
    ]
    # --8<-- [end:require]
