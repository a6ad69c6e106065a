"""What the page on integration shows beside the lab's own view."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import strawberry
import strawberry_django
from strawberry import auto
from strawberry.django.views import AsyncGraphQLView, GraphQLView

from lab.academy import models

if TYPE_CHECKING:
    from django.db.models import QuerySet


@strawberry_django.type(models.Course)
class Course:
    """What the graph says of a course."""

    title: auto
    seats: auto
    starts_on: auto
    level: models.Course.Level
    lessons: list[Lesson]


@strawberry_django.type(models.Lesson)
class Lesson:
    """What the graph says of a lesson."""

    title: auto
    minutes: auto


strawberry.enum(models.Course.Level, name="Level")


# --8<-- [start:wrong_fields]
@strawberry_django.type(models.Learner, fields="__all__")
class WrongLearner:
    """Every column, and those of next year."""


# --8<-- [end:wrong_fields]


# --8<-- [start:wrong_view]
class WrongView(GraphQLView):
    """Looks as if it had no IDE and took no GET."""

    graphql_ide = None
    allow_queries_via_get = False


# --8<-- [end:wrong_view]


def where() -> str:
    """Say whether this runs on the event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "off the event loop"
    return "on the event loop"


# --8<-- [start:wrong_open]
@strawberry.type
class WrongQuery:
    """Asks the database from the event loop."""

    @strawberry.field
    async def open_courses(self) -> int:
        """Return the number of courses that one can join."""
        return models.Course.objects.filter(published=True).count()


# --8<-- [end:wrong_open]


# --8<-- [start:async]
@strawberry.type
class Query:
    """Where reading starts, under ASGI."""

    @strawberry.field
    async def open_courses(self) -> int:
        """Return the number of courses that one can join."""
        return await models.Course.objects.filter(published=True).acount()

    @strawberry_django.field
    def courses(self) -> list[Course]:
        """Return the courses; the library fetches them in a thread."""
        courses: QuerySet[models.Course] = models.Course.objects.all()
        return courses  # type: ignore[return-value]


# --8<-- [end:async]


# --8<-- [start:where]
@strawberry.type
class Where(Query):
    """Says where the three kinds of resolvers run."""

    @strawberry.field
    async def coroutine(self) -> str:
        """A coroutine."""
        return where()

    @strawberry_django.field
    def function_of_strawberry_django(self) -> str:
        """A function, of a field that knows Django."""
        return where()

    @strawberry.field
    def function_of_strawberry(self) -> str:
        """A function, of a field that does not."""
        return where()


# --8<-- [end:where]

schema = strawberry.Schema(query=Where)
wrong_schema = strawberry.Schema(query=WrongQuery)
everything = strawberry.Schema(query=Query, types=[WrongLearner])

# --8<-- [start:async_view]
async_view = AsyncGraphQLView.as_view(schema=schema, graphql_ide=None)
# --8<-- [end:async_view]
