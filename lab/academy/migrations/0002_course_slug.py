"""Step one of three: a column that may be empty, so that code which does not know it goes on working."""

from django.db import migrations, models


class Migration(migrations.Migration):
    # --8<-- [start:add]
    dependencies = [("academy", "0001_initial")]

    operations = [
        migrations.AddField(
            "course", "slug", models.SlugField(max_length=140, unique=True, null=True)
        ),
    ]
    # --8<-- [end:add]
