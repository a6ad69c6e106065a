"""A promise that the data does not keep: a field that says never null."""

from __future__ import annotations

import strawberry
import strawberry_django
from strawberry_django.optimizer import DjangoOptimizerExtension

from lab.academy import models
from lab.graphql_api import types
from lab.graphql_api.connections import Pages
from lab.graphql_api.queries import Query


# --8<-- [start:wrong_enrollment]
@strawberry_django.type(models.Enrollment)
class StrictEnrollment(types.Enrollment):
    """An enrollment that is sure of its course."""

    course: types.Course


# --8<-- [end:wrong_enrollment]


@strawberry.type(name="Query")
class StrictQuery(Query):
    """The lab's query, with the promise."""

    enrollments: Pages[StrictEnrollment] = strawberry_django.connection()  # type: ignore[assignment]


strict = strawberry.Schema(query=StrictQuery, extensions=[DjangoOptimizerExtension])
