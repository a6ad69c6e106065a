"""Questions to the database: what a queryset sends, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.db.models import F, Q

from lab.academy.models import Course, Enrollment

if TYPE_CHECKING:
    import datetime

    from django.db.models import QuerySet
    from django.db.models.query import RawQuerySet


# --8<-- [start:open_courses]
def open_courses(text: str, day: datetime.date) -> QuerySet[Course]:
    """Return the courses with a word in the title that one can still join."""
    return Course.objects.filter(
        published=True,
        title__icontains=text,
        starts_on__gte=day,
        level__in=[Course.Level.BEGINNER, Course.Level.INTERMEDIATE],
    )


# --8<-- [end:open_courses]


# --8<-- [start:wrong_passed_by]
def wrong_passed_by(name: str, grade: int) -> QuerySet[Course]:
    """Return the courses that a learner has passed with a grade."""
    courses = Course.objects.filter(enrollments__learner__name=name)
    return courses.filter(enrollments__grade__gte=grade)


# --8<-- [end:wrong_passed_by]


# --8<-- [start:passed_by]
def passed_by(name: str, grade: int) -> QuerySet[Course]:
    """Return the courses that a learner has passed with a grade."""
    return Course.objects.filter(
        enrollments__learner__name=name, enrollments__grade__gte=grade
    )


# --8<-- [end:passed_by]


# --8<-- [start:to_look_at]
def to_look_at() -> QuerySet[Enrollment]:
    """Return the enrollments that the office checks: joined late, or failed."""
    late = Q(enrolled_on__gt=F("course__ends_on"))
    return Enrollment.objects.filter(late | Q(grade__lt=50), course__published=True)


# --8<-- [end:to_look_at]


# --8<-- [start:wrong_roster]
def wrong_roster() -> list[str]:
    """Return a line for each enrollment."""
    return [f"{e.learner.name}: {e.course.title}" for e in Enrollment.objects.all()]


# --8<-- [end:wrong_roster]


# --8<-- [start:roster]
def roster() -> list[str]:
    """Return a line for each enrollment."""
    rows = Enrollment.objects.select_related("learner", "course")
    return [f"{e.learner.name}: {e.course.title}" for e in rows]


# --8<-- [end:roster]


# --8<-- [start:catalog]
def catalog() -> list[str]:
    """Return a line for each course, with its lessons and tags."""
    lines = []
    for course in Course.objects.prefetch_related("lessons", "tags"):
        tags = ", ".join(tag.name for tag in course.tags.all())
        lines.append(f"{course.title}: {len(course.lessons.all())} lessons; {tags}")
    return lines


# --8<-- [end:catalog]


# --8<-- [start:wrong_search]
def wrong_search(title: str) -> RawQuerySet[Course]:
    """Return the published courses with a title."""
    condition = f"published AND title = '{title}'"
    return Course.objects.raw(
        f"SELECT * FROM academy_course WHERE {condition}"  # noqa: S608
    )


# --8<-- [end:wrong_search]


# --8<-- [start:search]
def search(title: str) -> RawQuerySet[Course]:
    """Return the published courses with a title."""
    return Course.objects.raw(
        "SELECT * FROM academy_course WHERE published AND title = %s",
        [title],
    )


# --8<-- [end:search]


# --8<-- [start:by_month]
def by_month(first: datetime.date, last: datetime.date) -> list[tuple[str, int]]:
    """Return how many enrollments each month has, months without any included."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT to_char(month, 'YYYY-MM'), count(e.id)
            FROM generate_series(%s::date, %s::date, '1 month') AS month
            LEFT JOIN academy_enrollment e
              ON date_trunc('month', e.enrolled_on) = month
            GROUP BY month ORDER BY month
            """,
            [first, last],
        )
        return [(month, number) for month, number in cursor.fetchall()]


# --8<-- [end:by_month]
