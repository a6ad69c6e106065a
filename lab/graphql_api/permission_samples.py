"""What the page on permissions shows beside the real schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry
import strawberry_django
from django.db.models import Avg, Sum
from strawberry import auto, relay
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.permissions import HasPerm, HasSourcePerm

from lab.academy import models
from lab.academy.visibility import visible_courses, visible_enrollments
from lab.graphql_api import types

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:wrong_types]
@strawberry_django.type(models.Course)
class OpenCourse(relay.Node):
    """A course, for whoever finds a way to it."""

    title: auto


@strawberry_django.type(models.Enrollment)
class OpenEnrollment(relay.Node):
    """An enrollment, for whoever finds a way to it."""

    grade: auto
    course: OpenCourse


@strawberry.type
class WrongQuery:
    """Filters where reading starts, and nowhere else."""

    node: relay.Node = relay.node()

    @strawberry_django.field
    def courses(self, info: strawberry.Info) -> list[OpenCourse]:
        """Return the courses that this user can know of."""
        return visible_courses(info.context.request.user)  # type: ignore[return-value]

    @strawberry_django.field
    def enrollments(self, info: strawberry.Info) -> list[OpenEnrollment]:
        """Return the enrollments that this user can know of."""
        user = info.context.request.user
        return visible_enrollments(user)  # type: ignore[return-value]


# --8<-- [end:wrong_types]


@strawberry.type
class Paths:
    """Ways to a course and to an enrollment."""

    # --8<-- [start:lists]
    courses: list[types.Course] = strawberry_django.field()
    enrollments: list[types.Enrollment] = strawberry_django.field()
    # --8<-- [end:lists]

    # --8<-- [start:wrong_newest]
    @strawberry_django.field
    def wrong_newest(self) -> types.Enrollment | None:
        """Return the last enrollment as a row that is fetched already."""
        return models.Enrollment.objects.latest("pk")  # type: ignore[return-value]

    # --8<-- [end:wrong_newest]

    # --8<-- [start:newest]
    @strawberry_django.field
    def newest(self) -> types.Enrollment | None:
        """Return a queryset, which the library filters and fetches."""
        enrollments: QuerySet[Any] = models.Enrollment.objects.order_by("-pk")
        return enrollments  # type: ignore[return-value]

    # --8<-- [end:newest]

    # --8<-- [start:wrong_joined]
    @strawberry_django.field
    def wrong_joined(self) -> list[types.Enrollment]:
        """Return enrollments with courses that are fetched already."""
        enrollments: QuerySet[Any] = models.Enrollment.objects.select_related("course")
        return enrollments  # type: ignore[return-value]

    # --8<-- [end:wrong_joined]


@strawberry.type
class Query(Paths):
    """The same ways, and the one that leads everywhere."""

    # --8<-- [start:node]
    node: relay.Node | None = relay.node()
    # --8<-- [end:node]


# --8<-- [start:office]
OFFICE = HasPerm("academy.view_enrollment")
LOUD = HasPerm("academy.view_enrollment", fail_silently=False)


@strawberry.type
class Office:
    """What only the office may ask for."""

    @strawberry_django.field(extensions=[OFFICE])
    def average(self) -> float | None:
        """Return the mean grade: a nullable field."""
        grades = models.Enrollment.objects.aggregate(mean=Avg("grade"))
        return float(grades["mean"])

    @strawberry_django.field(extensions=[OFFICE])
    def courses(self) -> list[types.Course]:
        """Return courses: a list."""
        courses: QuerySet[Any] = models.Course.objects.filter(seats__lt=16)
        return courses  # type: ignore[return-value]

    @strawberry_django.field(extensions=[OFFICE])
    def total(self) -> int:
        """Return the number of enrollments: a field that is never null."""
        return models.Enrollment.objects.count()

    @strawberry_django.field(extensions=[LOUD])
    def seats(self) -> int | None:
        """Return the number of seats: nullable, and not silent."""
        return models.Course.objects.aggregate(sum=Sum("seats"))["sum"]  # type: ignore


# --8<-- [end:office]


# --8<-- [start:source]
@strawberry_django.type(models.Enrollment)
class GradedEnrollment:
    """An enrollment whose grade asks for a permission about this enrollment."""

    grade: int | None = strawberry_django.field(
        extensions=[HasSourcePerm("academy.change_enrollment")]
    )


# --8<-- [end:source]


@strawberry.type
class Variations(Office):
    """Where reading starts in the variations."""

    @strawberry_django.field
    def graded(self, info: strawberry.Info) -> list[GradedEnrollment]:
        """Return the enrollments that this user can know of."""
        user = info.context.request.user
        return visible_enrollments(user)  # type: ignore[return-value]


wrong_schema = strawberry.Schema(query=WrongQuery)
schema = strawberry.Schema(query=Query, extensions=[DjangoOptimizerExtension])
unoptimized = strawberry.Schema(query=Paths)
variations = strawberry.Schema(query=Variations)
