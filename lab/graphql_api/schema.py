"""The schema: where reading and changing start, what holds for all of it, what a change breaks."""

from __future__ import annotations

import strawberry
from django.core.exceptions import PermissionDenied
from graphql import (
    GraphQLError,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)
from strawberry.extensions import MaskErrors
from strawberry_django.optimizer import DjangoOptimizerExtension

from lab.graphql_api.limits import LIMITS
from lab.graphql_api.mutations import Mutation
from lab.graphql_api.queries import Query
from lab.graphql_api.trusted import TrustedDocuments


# --8<-- [start:mask]
def is_a_bug(error: GraphQLError) -> bool:
    """Return whether an error was raised by accident: its text is not for clients."""
    return error.original_error is not None and not isinstance(
        error.original_error, GraphQLError | PermissionDenied
    )


# --8<-- [end:mask]

# --8<-- [start:schema]
schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    extensions=[
        DjangoOptimizerExtension,
        lambda: MaskErrors(should_mask_error=is_a_bug),
        TrustedDocuments,
        *LIMITS,
    ],
)
# --8<-- [end:schema]


# --8<-- [start:changes]
def breaking(old: str, new: str) -> list[str]:
    """Return what makes a query fail that was right before, one line each."""
    changes = find_breaking_changes(build_schema(old), build_schema(new))
    return [change.description for change in changes]


def dangerous(old: str, new: str) -> list[str]:
    """Return what may surprise a client, and leaves every query valid."""
    changes = find_dangerous_changes(build_schema(old), build_schema(new))
    return [change.description for change in changes]


# --8<-- [end:changes]
