"""A new edition of a course begins with the lessons of the old one."""

from __future__ import annotations

from celery import shared_task

from lab.academy.models import Lesson


# --8<-- [start:copy_lessons]
@shared_task(acks_late=True, reject_on_worker_lost=True)
def copy_lessons(source: int, target: int) -> None:
    """Give a course the lessons of another. Doing it twice is doing it once."""
    for lesson in Lesson.objects.filter(course_id=source):
        Lesson.objects.get_or_create(
            course_id=target,
            position=lesson.position,
            defaults={"title": lesson.title, "minutes": lesson.minutes},
        )


# --8<-- [end:copy_lessons]
