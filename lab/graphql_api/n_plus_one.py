"""The same answer by many queries and by few."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import strawberry
import strawberry_django
from django.db.models import Count, F
from strawberry import auto, relay
from strawberry.dataloader import DataLoader
from strawberry.django.context import StrawberryDjangoContext
from strawberry.django.views import AsyncGraphQLView
from strawberry_django.optimizer import DjangoOptimizerExtension

from lab.academy import models
from lab.academy.visibility import visible_courses
from lab.graphql_api import queries
from lab.graphql_api.connections import Pages
from lab.graphql_api.types import Lesson

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

# --8<-- [start:plain]
plain = strawberry.Schema(query=queries.Query)  # no extensions: no optimizer
# --8<-- [end:plain]


# --8<-- [start:loader]
async def lessons_of(courses: list[int]) -> list[list[models.Lesson]]:
    """Return the lessons of each course, in the order of the keys."""
    found = defaultdict(list)
    async for lesson in models.Lesson.objects.filter(course__in=courses):
        found[lesson.course_id].append(lesson)
    return [found[course] for course in courses]


@dataclass
class Context(StrawberryDjangoContext):
    """What the resolvers of one request share."""

    lessons: DataLoader[int, list[models.Lesson]] = field(
        default_factory=lambda: DataLoader(lessons_of)
    )


@strawberry_django.type(models.Course)
class LoadedCourse(relay.Node):
    """A course that asks a data loader for its lessons."""

    title: auto

    @strawberry.field
    async def lessons(self, info: strawberry.Info[Context]) -> list[Lesson]:
        """Wait until the loader has fetched the lessons of all courses."""
        return await info.context.lessons.load(self.pk)  # type: ignore


# --8<-- [end:loader]


@strawberry.type
class LoadedQuery:
    """Where reading starts."""

    @strawberry_django.connection(Pages[LoadedCourse])
    def courses(self, info: strawberry.Info[Context]) -> list[LoadedCourse]:
        """Return the courses that this user can know of."""
        return visible_courses(info.context.request.user)  # type: ignore[return-value]


loaded = strawberry.Schema(query=LoadedQuery)


# --8<-- [start:context]
class LoaderView(AsyncGraphQLView):
    """Gives each request loaders of its own."""

    async def get_context(self, request: HttpRequest, response: HttpResponse) -> Any:
        """Return a new context."""
        return Context(request=request, response=response)


# --8<-- [end:context]

# --8<-- [start:wrong_loader]
shared = DataLoader(lessons_of)  # lives as long as the process


class WrongLoaderView(AsyncGraphQLView):
    """Gives all requests the same loader."""

    async def get_context(self, request: HttpRequest, response: HttpResponse) -> Any:
        """Return a context with what earlier requests have loaded."""
        return Context(request=request, response=response, lessons=shared)


# --8<-- [end:wrong_loader]


# --8<-- [start:wrong_free_seats]
@strawberry_django.type(models.Course)
class WrongSeats:
    """A course that counts its free seats, row by row."""

    title: auto

    @strawberry_django.field
    def free_seats(self) -> int:
        """Return how many learners can still join."""
        course: models.Course = self  # type: ignore[assignment]  # the row behind it
        return course.seats - course.enrollments.count()


# --8<-- [end:wrong_free_seats]


# --8<-- [start:free_seats]
@strawberry_django.type(models.Course)
class Seats:
    """A course whose free seats the database counts, for all rows at once."""

    title: auto
    free_seats: int = strawberry_django.field(
        annotate=F("seats") - Count("enrollments")
    )


# --8<-- [end:free_seats]


@strawberry.type
class SeatsQuery:
    """Both ways to count."""

    @strawberry_django.field
    def wrong(self) -> list[WrongSeats]:
        """Return all courses."""
        return models.Course.objects.all()  # type: ignore[return-value]

    @strawberry_django.field
    def right(self) -> list[Seats]:
        """Return all courses; grouped rows forget the order of the model."""
        courses: QuerySet[Any] = models.Course.objects.order_by("title", "pk")
        return courses  # type: ignore[return-value]


# --8<-- [start:roster]
@strawberry_django.type(models.Course)
class RosterCourse:
    """A course of which everybody may know."""

    title: auto


@strawberry_django.type(models.Enrollment)
class RosterLine:
    """An enrollment with its course: one row, one course."""

    grade: auto
    course: RosterCourse


# --8<-- [end:roster]


@strawberry.type
class RosterQuery(SeatsQuery):
    """Where reading starts."""

    @strawberry_django.field
    def roster(self) -> list[RosterLine]:
        """Return all enrollments."""
        enrollments: QuerySet[Any] = models.Enrollment.objects.all()
        return enrollments  # type: ignore[return-value]


hinted = strawberry.Schema(query=RosterQuery, extensions=[DjangoOptimizerExtension])
unhinted = strawberry.Schema(query=RosterQuery)
