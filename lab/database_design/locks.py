"""Who waits for whom: rows locked in one order, a queue in a table, locks without a row."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from django.db import connection, models, transaction
from django.db.models import F

from lab.academy.models import Course, Enrollment, Learner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# --8<-- [start:wrong_move_seats]
@transaction.atomic
def wrong_move_seats(source: int, target: int, seats: int) -> None:
    """Take seats from one course and give them to another."""
    Course.objects.filter(pk=source).update(seats=F("seats") - seats)
    Course.objects.filter(pk=target).update(seats=F("seats") + seats)


# --8<-- [end:wrong_move_seats]


# --8<-- [start:move_seats]
@transaction.atomic
def move_seats(source: int, target: int, seats: int) -> None:
    """Take seats from one course and give them to another."""
    both = Course.objects.filter(pk__in=[source, target])
    list(both.order_by("pk").select_for_update())  # always in this order
    Course.objects.filter(pk=source).update(seats=F("seats") - seats)
    Course.objects.filter(pk=target).update(seats=F("seats") + seats)


# --8<-- [end:move_seats]


# --8<-- [start:wrong_take_seat]
@transaction.atomic
def wrong_take_seat(learner: Learner, course: Course) -> None:
    """Enroll somebody, and count the free seat down."""
    Enrollment.objects.create(learner=learner, course=course)
    Course.objects.filter(pk=course.pk).update(seats=F("seats") - 1)


# --8<-- [end:wrong_take_seat]


# --8<-- [start:take_seat]
@transaction.atomic
def take_seat(learner: Learner, course: Course) -> None:
    """Enroll somebody, and count the free seat down."""
    Course.objects.filter(pk=course.pk).update(seats=F("seats") - 1)
    Enrollment.objects.create(learner=learner, course=course)


# --8<-- [end:take_seat]


# --8<-- [start:job]
class Job(models.Model):
    """Something to do later."""

    task = models.CharField(max_length=80)
    done_by = models.CharField(max_length=20, blank=True)

    # --8<-- [end:job]
    objects: ClassVar[models.Manager[Job]]

    class Meta:
        app_label = "database_design"


# --8<-- [start:work]
@transaction.atomic
def work(worker: str, do: Callable[[Job], None]) -> bool:
    """Do the oldest job that nobody else is doing; say whether there was one."""
    waiting = Job.objects.filter(done_by="").order_by("pk")
    job = waiting.select_for_update(skip_locked=True).first()
    if job is None:
        return False
    do(job)
    job.done_by = worker
    job.save(update_fields=["done_by"])
    return True


# --8<-- [end:work]


# --8<-- [start:wrong_work]
@transaction.atomic
def wrong_work(worker: str, do: Callable[[Job], None]) -> bool:
    """Do the oldest job; say whether there was one."""
    job = Job.objects.filter(done_by="").order_by("pk").first()
    if job is None:
        return False
    do(job)
    job.done_by = worker
    job.save(update_fields=["done_by"])
    return True


# --8<-- [end:wrong_work]


# --8<-- [start:alone]
@contextmanager
def alone(name: str) -> Iterator[bool]:
    """Begin a transaction; say whether nobody else is in one of this name."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            key = zlib.crc32(name.encode())  # the same in every process
            with transaction.atomic(durable=True):  # whose end releases the lock
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
                yield bool(cursor.fetchone()[0])
            return
        cursor.execute("SELECT GET_LOCK(%s, 0)", [name])  # seconds to wait
        got = bool(cursor.fetchone()[0])
        try:
            with transaction.atomic(durable=True):
                yield got
        finally:
            cursor.execute("SELECT RELEASE_LOCK(%s)", [name])  # after the commit


# --8<-- [end:alone]


# --8<-- [start:timeouts]
# OPTIONS of a database in the settings
POSTGRESQL_OPTIONS = {
    "options": "-c lock_timeout=2s -c idle_in_transaction_session_timeout=60s"
}
MARIADB_OPTIONS = {
    "init_command": "SET innodb_lock_wait_timeout = 2, idle_transaction_timeout = 60"
}
# --8<-- [end:timeouts]
