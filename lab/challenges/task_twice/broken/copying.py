"""A new edition of a course begins with the lessons of the old one."""

from __future__ import annotations

from celery import shared_task
from django.db.models import Max

from lab.academy.models import Lesson


# --8<-- [start:wrong_copy_lessons]
@shared_task
def copy_lessons(source: int, target: int) -> None:
    """Append the lessons of one course to another."""
    for lesson in Lesson.objects.filter(course_id=source):
        there = Lesson.objects.filter(course_id=target)
        last = there.aggregate(last=Max("position"))["last"] or 0
        Lesson.objects.create(
            course_id=target,
            position=last + 1,
            title=lesson.title,
            minutes=lesson.minutes,
        )


# --8<-- [end:wrong_copy_lessons]
