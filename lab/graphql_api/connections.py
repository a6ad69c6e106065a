"""Lists in pages: the connection that the graph's own lists are."""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry import relay
from strawberry_django.relay import DjangoCursorConnection

PAGE = 20


# --8<-- [start:pages]
@strawberry.type(name="CursorConnection", description="A list in pages.")
class Pages(DjangoCursorConnection[relay.NodeType]):
    """Pages that start after a row; twenty rows for clients that name no number."""

    @classmethod
    def resolve_connection(cls, nodes: Any, **arguments: Any) -> Any:
        """Return a page; without a limit of ours it would be the whole table."""
        if arguments.get("first") is None and arguments.get("last") is None:
            arguments["first"] = PAGE
        try:
            return super().resolve_connection(nodes, **arguments)
        except ValueError as error:  # too many, or no cursor of this list
            said = str(error) if "Argument" in str(error) else "Invalid cursor"
            raise GraphQLError(said, extensions={"code": "BAD_USER_INPUT"}) from None


# --8<-- [end:pages]
