"""Step two of three: a data migration that gives each course its slug."""

# --8<-- [start:fill]
from django.db import migrations
from django.utils.text import slugify


def fill(apps, schema_editor):
    """Give every course without a slug one that no other course has."""
    # As it was at this step, not as models.py has it today.
    Course = apps.get_model("academy", "Course")
    courses = Course.objects.using(schema_editor.connection.alias)
    taken = set(courses.exclude(slug=None).values_list("slug", flat=True))
    for course in courses.filter(slug=None).order_by("pk").iterator(chunk_size=1000):
        slug = base = slugify(course.title) or "course"
        number = course.pk
        while slug in taken:
            slug = f"{base}-{number}"
            number += 1
        taken.add(slug)
        course.slug = slug
        course.save(update_fields=["slug"])


class Migration(migrations.Migration):
    dependencies = [("academy", "0002_course_slug")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]


# --8<-- [end:fill]
