"""Documents that are known before anybody sends them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry_django.optimizer import DjangoOptimizerExtension

from lab.graphql_api.mutations import Mutation
from lab.graphql_api.queries import Query

if TYPE_CHECKING:
    from collections.abc import Iterator


# --8<-- [start:documents]
def digest(text: str) -> str:
    """Return the name that a document has on the wire."""
    return sha256(text.encode()).hexdigest()


FOLDER = Path(__file__).parent / "operations"
TEXTS = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.graphql")]
DOCUMENTS = {digest(text): text for text in TEXTS}
# --8<-- [end:documents]


# --8<-- [start:trusted]
class TrustedDocuments(SchemaExtension):
    """Takes the hash of a known document in place of its text."""

    def __init__(self, *, only: bool = False) -> None:
        self.only = only  # whether all other texts are refused

    def on_operation(self) -> Iterator[None]:
        """Put the text in, or refuse the request."""
        context = self.execution_context
        asked: Any = (context.operation_extensions or {}).get("persistedQuery")
        by_hash = context.query is None and isinstance(asked, dict)
        if by_hash:
            context.query = DOCUMENTS.get(str(asked.get("sha256Hash")))
        if (by_hash or self.only) and digest(context.query or "") not in DOCUMENTS:
            raise GraphQLError(
                "There is no such document.", extensions={"code": "UNKNOWN_DOCUMENT"}
            )
        yield


# --8<-- [end:trusted]

closed = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    extensions=[lambda: TrustedDocuments(only=True), DjangoOptimizerExtension],
)
