"""The other ways to page a list, and what each does without a limit."""

from __future__ import annotations

import strawberry
import strawberry_django
from strawberry import relay
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.pagination import OffsetPaginated
from strawberry_django.relay import DjangoCursorConnection, DjangoListConnection

from lab.academy import models
from lab.graphql_api.types import Course


# --8<-- [start:wrong_offsets]
@strawberry.type(name="Query")
class Offsets:
    """Pages that start at a number."""

    courses: DjangoListConnection[Course] = strawberry_django.connection()


# --8<-- [end:wrong_offsets]


# --8<-- [start:wrong_unlimited]
@strawberry.type(name="Query")
class Unlimited:
    """Pages for clients that ask for pages."""

    courses: DjangoCursorConnection[Course] = strawberry_django.connection()


# --8<-- [end:wrong_unlimited]


@strawberry.type(name="Query")
class Plain:
    """A list without pages."""

    courses: list[Course] = strawberry_django.field()


@strawberry.type(name="Query")
class Paginated:
    """A list with a limit and an offset."""

    courses: OffsetPaginated[Course] = strawberry_django.offset_paginated()


@strawberry_django.type(models.Enrollment)
class Seat(relay.Node):
    """An enrollment without its learner."""

    grade: strawberry.auto


@strawberry_django.type(models.Course)
class Roster(relay.Node):
    """A course whose enrollments come in pages that start after a row."""

    title: strawberry.auto
    enrollments: DjangoCursorConnection[Seat] = strawberry_django.connection()


@strawberry.type(name="Query")
class Nested:
    """Connections inside a connection."""

    courses: DjangoCursorConnection[Roster] = strawberry_django.connection()


offsets, unlimited, plain, paginated, nested = (
    strawberry.Schema(query=query, extensions=[DjangoOptimizerExtension])
    for query in (Offsets, Unlimited, Plain, Paginated, Nested)
)
