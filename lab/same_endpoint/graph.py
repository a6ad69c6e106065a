"""The catalog as a field of a graph."""
# mypy: disallow-untyped-decorators=False
# (Strawberry's decorators with arguments return Any.)

from __future__ import annotations

from typing import TYPE_CHECKING

import strawberry
import strawberry_django
from strawberry import auto
from strawberry.extensions import ParserCache, ValidationCache
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.pagination import OffsetPaginated

from lab.academy import models
from lab.graphql_api.types import Tag

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:view]
@strawberry_django.type(models.Course)
class CatalogCourse:
    """A course, as far as the catalog shows it."""

    slug: auto
    title: auto
    level: models.Course.Level
    starts_on: auto
    tags: list[Tag]


@strawberry.type
class Query:
    """Where reading starts."""

    @strawberry_django.offset_paginated(OffsetPaginated[CatalogCourse])
    def catalog(
        self, level: models.Course.Level | None = None
    ) -> QuerySet[models.Course]:
        """Return the published courses."""
        courses = models.Course.objects.filter(published=True)
        return courses.filter(level=level) if level else courses


schema = strawberry.Schema(query=Query, extensions=[DjangoOptimizerExtension])
# --8<-- [end:view]

# --8<-- [start:remembering]
remembering = strawberry.Schema(
    query=Query, extensions=[DjangoOptimizerExtension, ParserCache, ValidationCache]
)
# --8<-- [end:remembering]
