"""The types of the graph: what can be known of the academy, by whoever may know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry
import strawberry_django
from strawberry import auto, relay
from strawberry_django.relay import DjangoListConnection

from lab.academy import models
from lab.academy.visibility import visible_courses, visible_enrollments
from lab.graphql_api.permissions import is_taught, may_write_to, visible_learners

if TYPE_CHECKING:
    from django.db.models import QuerySet

# --8<-- [start:level]
strawberry.enum(models.Course.Level, name="Level", description="How much is expected.")
# --8<-- [end:level]


@strawberry_django.type(models.Tag)
class Tag:
    """A word that courses can be found by."""

    name: auto


@strawberry_django.type(
    models.Course,
    description="Something to learn: a list of lessons with a limited number of seats.",
)
class Course(relay.Node):
    """A course, for those who can know of it."""

    slug: auto
    title: auto
    description: auto
    level: models.Course.Level
    seats: auto
    published: auto
    starts_on: auto
    ends_on: auto
    tags: list[Tag]
    lessons: list[Lesson]
    enrollments: DjangoListConnection[Enrollment] = strawberry_django.connection(
        description="Your own, and all of them if you teach the course.",
    )

    @classmethod
    def get_queryset(
        cls, queryset: QuerySet[models.Course], info: strawberry.Info
    ) -> QuerySet[models.Course]:
        """Return what this user can know of, on every path that leads here."""
        return queryset & visible_courses(info.context.request.user)


@strawberry_django.type(models.Lesson, description="One part of a course.")
class Lesson:
    """A lesson; whoever can know of its course can know of it."""

    position: auto
    title: auto
    minutes: auto
    course: Course


@strawberry_django.type(models.Learner, description="Somebody who takes courses.")
class Learner(relay.Node):
    """A learner, as far as others may know them."""

    name: auto

    # --8<-- [start:email]
    @strawberry_django.field(
        description="Null unless it is your own, or you teach them.",
        only=["email", "user"],
        annotate={"is_taught": is_taught},
    )
    def email(self, info: strawberry.Info) -> str | None:
        """Return the address for whoever may write to it."""
        learner: models.Learner = self  # type: ignore[assignment]  # the row behind it
        return learner.email if may_write_to(learner, info) else None

    # --8<-- [end:email]

    # --8<-- [start:learner_rows]
    @classmethod
    def get_queryset(
        cls, queryset: QuerySet[models.Learner], info: strawberry.Info
    ) -> QuerySet[models.Learner]:
        """Return whom this user can know of, on every path that leads here."""
        return queryset & visible_learners(info.context.request.user)

    # --8<-- [end:learner_rows]


# --8<-- [start:enrollment]
@strawberry_django.type(models.Enrollment, description="A learner's place in a course.")
class Enrollment(relay.Node):
    """An enrollment, for its learner and its teacher."""

    learner: Learner
    course: Course | None = strawberry_django.field(
        description="Null if you cannot know of the course: it has become a draft."
    )
    enrolled_on: auto
    grade: auto
    # --8<-- [end:enrollment]

    @classmethod
    def get_queryset(
        cls, queryset: QuerySet[models.Enrollment], info: strawberry.Info
    ) -> QuerySet[models.Enrollment]:
        """Return what this user can know of, on every path that leads here."""
        return queryset & visible_enrollments(info.context.request.user)
