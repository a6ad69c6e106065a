"""A graph that says everything: types without ``fields``."""
# mypy: disallow-subclassing-any=False
# (graphene is not there when types are checked.)
# ruff: noqa: N805
# (The first argument of a resolver is the row, not the type.)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import graphene  # type: ignore[import-not-found]
from graphene_django import DjangoObjectType  # type: ignore[import-not-found]

from lab.academy import models

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:wrong_types]
class User(DjangoObjectType):
    """Somebody who can sign in."""

    class Meta:
        model = models.User


class Course(DjangoObjectType):
    """Something to learn."""

    class Meta:
        model = models.Course


# --8<-- [end:wrong_types]


class Query(graphene.ObjectType):
    """Where reading starts."""

    courses = graphene.List(Course)

    def resolve_courses(root: Any, info: Any) -> QuerySet[models.Course]:
        """Return the published courses."""
        return models.Course.objects.filter(published=True)


schema = graphene.Schema(query=Query)
