"""What one request may ask for, estimated before anything runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import strawberry
from django.core.cache import cache
from graphql import (
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    InlineFragmentNode,
    ValidationRule,
    get_argument_values,
    get_named_type,
    get_nullable_type,
    get_operation_ast,
    get_variable_values,
    is_list_type,
    located_error,
)
from rest_framework.throttling import BaseThrottle
from strawberry.extensions import (
    AddValidationRules,
    DisableIntrospection,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    QueryDepthLimiter,
    SchemaExtension,
)
from strawberry.schema.config import StrawberryConfig
from strawberry_django.optimizer import DjangoOptimizerExtension

from lab.graphql_api.connections import PAGE
from lab.graphql_api.queries import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import OperationDefinitionNode, StringValueNode
    from strawberry.types import ExecutionContext

# --8<-- [start:numbers]
MAX_TOKENS = 1000  # in the text of a request
MAX_DEPTH = 8  # fields in fields
MAX_ALIASES = 10
MAX_ROWS = 2000  # as Estimate counts them
BUDGET = 100_000  # rows a minute, for one user or address
LONGEST = 100  # page of a connection
LIST = 10  # rows of a list without pages: a guess
# --8<-- [end:numbers]


def refusal(message: str, code: str = "TOO_MUCH") -> GraphQLError:
    """Return the error for a request that is not even begun."""
    return GraphQLError(message, extensions={"code": code})


@dataclass(frozen=True)
class Price:
    """What a part of a query costs."""

    rows: int = 0
    depth: int = 0
    aliases: int = 0

    def __add__(self, other: Price) -> Price:
        """Return the price of both parts in one object."""
        depth = max(self.depth, other.depth)
        return Price(self.rows + other.rows, depth, self.aliases + other.aliases)


class Estimate:
    """Prices an operation that has passed validation."""

    def __init__(self, context: ExecutionContext) -> None:
        """Take from a request what the estimate needs."""
        document: Any = context.graphql_document
        found = get_operation_ast(document, context.operation_name)
        self.operation = cast("OperationDefinitionNode", found)
        self.schema = context.schema._schema
        self.variables: Any = get_variable_values(
            self.schema,
            self.operation.variable_definitions or (),
            context.variables or {},
        )
        self.fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self.known: dict[str, Price] = {}

    def total(self) -> Price:
        """Return the price of the operation."""
        if isinstance(self.variables, list):  # of errors, which execution will report
            return Price()
        root = self.schema.get_root_type(self.operation.operation)
        return self.inside(self.operation, root)

    # --8<-- [start:estimate]
    def inside(self, node: Any, parent: Any) -> Price:
        """Return the price of what is selected in one object."""
        parts = node.selection_set.selections if node.selection_set else ()
        return sum((self.part(part, parent) for part in parts), Price())

    def part(self, node: Any, parent: Any) -> Price:
        """Return the price of a field or a fragment."""
        if isinstance(node, FieldNode):
            return self.field(node, parent)
        if isinstance(node, InlineFragmentNode | FragmentDefinitionNode):
            on = node.type_condition
            kind = self.schema.get_type(on.name.value) if on else parent
            return self.inside(node, kind)
        name = node.name.value
        if name not in self.known:  # looked at once, however often it is spread
            self.known[name] = self.part(self.fragments[name], parent)
        return self.known[name]

    def field(self, node: Any, parent: Any) -> Price:
        """Return the price of a field with all that is inside."""
        field: Any = self.schema.get_field(parent, node.name.value)
        kind = get_named_type(field.type)
        below = self.inside(node, kind)
        aliases = below.aliases + bool(node.alias)
        if not node.selection_set or node.name.value.startswith("__"):
            return Price(aliases=aliases)  # a column, or introspection: no rows
        if kind.name.endswith("Connection"):
            rows = times = self.page(field, node, kind)
        elif parent.name.endswith(("Connection", "Edge")):  # edges, node, pageInfo
            rows, times = 0, 1
        else:
            rows = times = LIST if is_list_type(get_nullable_type(field.type)) else 1
        return Price(rows + times * below.rows, below.depth + 1, aliases)

    def page(self, field: Any, node: Any, kind: Any) -> int:
        """Return how many rows a page may have; refuse what no page may have."""
        given = get_argument_values(field, node, self.variables)
        sizes = [given[name] for name in ("first", "last") if given[name] is not None]
        if not all(0 <= size <= LONGEST for size in sizes):
            raise refusal(f"A page has 0 to {LONGEST} rows.", "BAD_USER_INPUT")
        unnamed = PAGE if kind.name.endswith("CursorConnection") else LONGEST
        return max(sizes, default=unnamed)

    # --8<-- [end:estimate]


# --8<-- [start:limits]
class Limits(SchemaExtension):
    """Refuses what would be too much, after validation and before execution."""

    def on_execute(self) -> Iterator[None]:
        """Let the request run, or give it a result that stops it."""
        context = self.execution_context
        try:
            self.check(Estimate(context).total())
        except Exception as error:  # too much, or no cache
            found = located_error(error)
            context.schema.process_errors([found], context)
            context.result = ExecutionResult(None, [found])
        yield

    def check(self, price: Price) -> None:
        """Raise if the operation asks for too much."""
        for number, most, what in (
            (price.depth, MAX_DEPTH, "levels"),
            (price.aliases, MAX_ALIASES, "aliases"),
            (price.rows, MAX_ROWS, "rows"),
        ):
            if number > most:
                raise refusal(f"This asks for {number} {what}, {most} are allowed.")
        if spent(self.execution_context.context.request, price.rows) > BUDGET:
            raise refusal("You have asked for too much in this minute.", "THROTTLED")


# --8<-- [end:limits]


# --8<-- [start:budget]
def spent(request: Any, rows: int) -> int:
    """Add to what somebody has asked for in this minute, and return the sum."""
    who = request.user.pk or BaseThrottle().get_ident(request)
    key = f"graphql-rows:{who}:{int(time.time()) // 60}"
    cache.add(key, 0, timeout=120)
    return cache.incr(key, max(rows, 1))


# --8<-- [end:budget]


# --8<-- [start:null]
class NoNullCharacters(ValidationRule):
    """Refuses the one character that PostgreSQL has no place for."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        """Look at a text in the query; the view has looked at the variables."""
        if "\0" in node.value:
            self.report_error(GraphQLError("A text holds a null character.", [node]))


# --8<-- [end:null]

# --8<-- [start:all]
LIMITS = [
    lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
    lambda: AddValidationRules([NoNullCharacters]),
    Limits,
]
# --8<-- [end:all]

unlimited = strawberry.Schema(query=Query, extensions=[DjangoOptimizerExtension])

# --8<-- [start:wrong_limits]
wrong_limits = strawberry.Schema(
    query=Query,
    extensions=[
        lambda: QueryDepthLimiter(max_depth=8),
        lambda: MaxAliasesLimiter(max_alias_count=10),
    ],
)
# --8<-- [end:wrong_limits]

secret = strawberry.Schema(query=Query, extensions=[DisableIntrospection])
mute = strawberry.Schema(
    query=Query,
    extensions=[DisableIntrospection],
    config=StrawberryConfig(disable_field_suggestions=True),
)
