"""The graph of graphene_samples with Strawberry: as it comes, and as its clients know it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import strawberry
import strawberry_django
from strawberry import auto, relay
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.relay import DjangoListConnection

from lab.academy import models

if TYPE_CHECKING:
    from django.db.models import QuerySet


@strawberry_django.type(models.Tag)
class Tag:
    """A word that courses can be found by."""

    name: auto


@strawberry_django.type(models.Lesson)
class Lesson:
    """One part of a course."""

    title: auto
    minutes: auto
    course: Course


# --8<-- [start:first]
@strawberry_django.type(models.Course)
class Course(relay.Node):
    """Something to learn."""

    slug: auto
    title: auto
    level: auto
    starts_on: auto
    tags: list[Tag]
    lessons: list[Lesson]

    @strawberry_django.field(only=["starts_on", "ends_on"])
    def weeks(self) -> int:
        """Return how long the course is."""
        course: models.Course = self  # type: ignore[assignment]  # the row behind it
        return (course.ends_on - course.starts_on).days // 7


@strawberry.type
class Mutation:
    """Where changing starts."""

    @strawberry_django.mutation
    def rename_course(self, slug: str, title: str) -> Course:
        """Rename the course, and return it."""
        return rename(slug, title)  # type: ignore[return-value]


# --8<-- [end:first]


def rename(slug: str, title: str) -> models.Course:
    """Give a course another title."""
    course = models.Course.objects.get(slug=slug)
    course.title = title
    course.save()
    return course


def published(slug: str) -> QuerySet[models.Course]:
    """Return the course with this name in URLs, if it is published."""
    return models.Course.objects.filter(published=True, slug=slug)


@strawberry.type
class Query:
    """Where reading starts."""

    courses: DjangoListConnection[Course] = strawberry_django.connection()
    lessons: list[Lesson] = strawberry_django.field()

    @strawberry_django.field
    def course(self, slug: str) -> Course | None:
        """Return a published course."""
        return published(slug)  # type: ignore[return-value]


first = strawberry.Schema(
    query=Query, mutation=Mutation, extensions=[DjangoOptimizerExtension]
)


# --8<-- [start:closed]
@strawberry.enum(name="AcademyCourseLevelChoices")
class Level(enum.Enum):
    """The name that graphene-django made of the app, the model and the field."""

    BEGINNER = "beginner"
    INTERMEDIATE = "intermediate"
    ADVANCED = "advanced"


@strawberry_django.type(models.Course, name="Course")
class KnownCourse(Course):
    """The course that clients know."""

    level: Level
    lessons: list[KnownLesson]  # type: ignore[assignment]


@strawberry.type
class RenameCourse:
    """What a mutation returned: each had a type of its own."""

    course: KnownCourse | None


@strawberry.type(name="Mutation")
class KnownMutation:
    """Where changing starts."""

    @strawberry_django.mutation
    def rename_course(self, slug: str, title: str) -> RenameCourse | None:
        """Rename the course, and return it as clients know it."""
        return RenameCourse(course=rename(slug, title))  # type: ignore[arg-type]


# --8<-- [end:closed]


@strawberry_django.type(models.Lesson, name="Lesson")
class KnownLesson(Lesson):
    """One part of a course that clients know."""

    course: KnownCourse


@strawberry.type(name="Query")
class KnownQuery:
    """Where reading starts."""

    courses: DjangoListConnection[KnownCourse] | None = strawberry_django.connection()
    lessons: list[KnownLesson | None] | None = strawberry_django.field()

    @strawberry_django.field
    def course(self, slug: str) -> KnownCourse | None:
        """Return a published course."""
        return published(slug)  # type: ignore[return-value]


closed = strawberry.Schema(
    query=KnownQuery, mutation=KnownMutation, extensions=[DjangoOptimizerExtension]
)
