"""A fact stored twice: on purpose, and with somebody who keeps the copy right.

The models here stand in no migration and in no registry of the lab. The tests make the columns
and the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import IntegrityError, models, transaction
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from lab.academy.enrolling import CannotEnroll
from lab.academy.models import Certificate, Course, Enrollment, Learner

if TYPE_CHECKING:
    import datetime

    from django.db.models import QuerySet


# --8<-- [start:wrong_text]
def wrong_text(certificate: Certificate) -> str:
    """Return what stands on a certificate."""
    enrollment = certificate.enrollment
    return f"{enrollment.learner.name} has passed {enrollment.course.title}"


# --8<-- [end:wrong_text]


# --8<-- [start:printed]
class Printed(models.Model):
    """What stands on a certificate, as on the day of issue."""

    number = models.UUIDField(primary_key=True)
    learner = models.CharField(max_length=80)
    title = models.CharField(max_length=120)

    # --8<-- [end:printed]
    objects: ClassVar[models.Manager[Printed]]

    class Meta:
        app_label = "database_design"

    def __str__(self) -> str:
        return f"{self.learner} has passed {self.title}"


# --8<-- [start:issue]
@transaction.atomic
def issue(enrollment: Enrollment) -> Printed:
    """Certify that a learner has passed a course."""
    certificate = Certificate.objects.create(enrollment=enrollment)
    return Printed.objects.create(
        number=certificate.number,
        learner=enrollment.learner.name,
        title=enrollment.course.title,
    )


# --8<-- [end:issue]


# --8<-- [start:counted]
class CountedCourse(models.Model):
    """The academy's course, with two columns more."""

    title = models.CharField(max_length=120)
    seats = models.PositiveSmallIntegerField()
    taken = models.PositiveSmallIntegerField(db_default=0)
    free = models.GeneratedField(
        expression=F("seats") - F("taken"),
        output_field=models.SmallIntegerField(),
        db_persist=True,
    )

    class Meta:
        app_label = "database_design"
        db_table = "academy_course"
        constraints = [
            models.CheckConstraint(
                condition=Q(taken__lte=F("seats")), name="course_not_overbooked"
            )
        ]
        indexes = [models.Index(fields=["-taken", "id"], name="course_taken")]

    # --8<-- [end:counted]
    objects: ClassVar[models.Manager[CountedCourse]]


# --8<-- [start:wrong_join]
@transaction.atomic
def wrong_join(learner: Learner, course: Course) -> None:
    """Give a learner a seat."""
    counted = CountedCourse.objects.get(pk=course.pk)
    counted.taken += 1
    counted.save(update_fields=["taken"])
    Enrollment.objects.create(learner=learner, course=course)


# --8<-- [end:wrong_join]


# --8<-- [start:join]
@transaction.atomic
def join(learner: Learner, course: Course) -> None:
    """Give a learner a seat.

    Raises:
        CannotEnroll: The course is full.
    """
    counted = CountedCourse.objects.filter(pk=course.pk)
    try:
        counted.update(taken=F("taken") + 1)
    except IntegrityError as error:
        raise CannotEnroll("the course is full") from error
    Enrollment.objects.create(learner=learner, course=course)


# --8<-- [end:join]


# --8<-- [start:wrong_order]
@transaction.atomic
def wrong_order(learner: Learner, course: Course) -> None:
    """Give a learner a seat."""
    Enrollment.objects.create(learner=learner, course=course)
    CountedCourse.objects.filter(pk=course.pk).update(taken=F("taken") + 1)


# --8<-- [end:wrong_order]


# --8<-- [start:drift]
def real() -> Coalesce:
    """Return how many enrollments a course has, as a subquery."""
    enrollments = Enrollment.objects.filter(course=OuterRef("pk")).order_by()
    sizes = enrollments.values("course").annotate(size=Count("pk"))
    return Coalesce(Subquery(sizes.values("size")), 0)


def drifted() -> QuerySet[Any]:
    """Return the courses whose counter is wrong, with the right number."""
    return CountedCourse.objects.annotate(real=real()).exclude(taken=F("real"))


# --8<-- [end:drift]


# --8<-- [start:wrong_repair]
def wrong_repair() -> None:
    """Set every wrong counter right."""
    drifted().update(taken=real())


# --8<-- [end:wrong_repair]


# --8<-- [start:repair]
@transaction.atomic
def repair() -> None:
    """Set every wrong counter right."""
    keys = list(drifted().values_list("pk", flat=True))
    courses = CountedCourse.objects.filter(pk__in=keys)
    list(courses.select_for_update().order_by("pk"))  # wait for who is writing
    courses.update(taken=real())


# --8<-- [end:repair]


# --8<-- [start:size]
class CourseSize(models.Model):
    """A row of the materialized view course_sizes."""

    course = models.BigIntegerField(primary_key=True)
    title = models.CharField(max_length=120)
    size = models.IntegerField()

    class Meta:
        app_label = "database_design"
        managed = False  # migrations leave it alone: it is made by SQL
        db_table = "course_sizes"

    # --8<-- [end:size]
    objects: ClassVar[models.Manager[CourseSize]]


# --8<-- [start:day]
class Day(models.Model):
    """How many learners joined on a day that is over."""

    day = models.DateField(primary_key=True)
    joined = models.PositiveIntegerField()

    # --8<-- [end:day]
    objects: ClassVar[models.Manager[Day]]

    class Meta:
        app_label = "database_design"


# --8<-- [start:close]
def close(day: datetime.date) -> None:
    """Store the numbers of a day; a second call mends them."""
    joined = Enrollment.objects.filter(enrolled_on=day).count()
    Day.objects.update_or_create(day=day, defaults={"joined": joined})


# --8<-- [end:close]


# --8<-- [start:lists]
def fullest_counted() -> QuerySet[Any]:
    """Return the twenty fullest courses, counted now."""
    courses = Course.objects.annotate(size=Count("enrollments"))
    return courses.order_by("-size", "pk").values_list("title", "size")[:20]


def fullest_stored() -> QuerySet[Any]:
    """Return the twenty fullest courses, by their counters."""
    courses = CountedCourse.objects.order_by("-taken", "pk")
    return courses.values_list("title", "taken")[:20]


def page_counted() -> QuerySet[Any]:
    """Return a page of the catalog, with numbers counted now."""
    courses = Course.objects.order_by("title", "pk").annotate(size=real())
    return courses.values_list("title", "size")[:20]


def fullest_viewed() -> QuerySet[Any]:
    """Return the twenty fullest courses, as the materialized view has them."""
    courses = CourseSize.objects.order_by("-size", "pk")
    return courses.values_list("title", "size")[:20]


# --8<-- [end:lists]
