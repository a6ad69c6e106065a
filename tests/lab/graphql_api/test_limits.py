"""What one request may cost, and what is refused before it costs anything."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import strawberry
import time_machine
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.test import Client
from graphql import get_introspection_query, parse
from strawberry.extensions import MaskErrors, SchemaExtension, max_aliases, query_depth_limiter
from strawberry.types import ExecutionContext
from strawberry_django.optimizer import DjangoOptimizerExtension, optimizer

from lab.academy.models import Course
from lab.graphql_api import limits
from lab.graphql_api.limits import Estimate, Price, unlimited, wrong_limits
from lab.graphql_api.queries import Query
from lab.graphql_api.schema import schema
from lab.graphql_api.trusted import DOCUMENTS, closed, digest
from tests.lab.graphql_api.operations import context, deep, doubling, operation, shown
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.people import People
    from tests.recording.files import Recorder

    Ask = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("quiet")


def price(query: str, variables: dict[str, Any] | None = None) -> Price:
    """Return what the lab thinks that a query costs."""
    return Estimate(ExecutionContext(query, schema, (), variables=variables, graphql_document=parse(query))).total()


# Depth.


@pytest.mark.databases
def test_each_level_multiplies(academy: None, database: str, record: Recorder) -> None:
    fields = 0

    class Count(SchemaExtension):
        def resolve(self, _next: Any, root: Any, info: Any, *args: str, **kwargs: Any) -> Any:
            nonlocal fields
            fields += 1
            return _next(root, info, *args, **kwargs)

    counting = strawberry.Schema(query=Query, extensions=[*unlimited.extensions, Count])
    lines = ["| `lessons { course { … } }` | Database queries | Fields answered | Bytes |", "| ---: " * 4 + "|"]
    sizes = []
    for levels in (1, 2, 3, 4):
        fields = 0
        with queries() as sent:
            answer = counting.execute_sync(deep(levels), context_value=context())
        assert answer.errors is None
        size = len(json.dumps(answer.data, separators=(",", ":")))
        sizes.append(size)
        lines.append(f"| {levels} | {len(sent.statements)} | {fields:,} | {size:,} |")
    each = Course.objects.get(slug="python").lessons.count()
    assert each == 7
    assert sizes[3] > 0.9 * each * sizes[2] > 0.8 * each * each * sizes[1]
    if database == "postgresql":
        record("limits_depth.md", "\n".join(lines))


@pytest.mark.databases
def test_fifty_levels_touch_nothing(people: People, ask: Ask, database: str, record: Recorder) -> None:
    with queries() as sent:
        answer = ask(deep(25)).json()
    assert sent.statements == []
    if database == "postgresql":
        record("limits_fifty.json", shown(answer))
    assert answer["data"] is None
    assert answer["errors"] == [
        {"message": "This asks for 51 levels, 8 are allowed.", "extensions": {"code": "TOO_MUCH"}}
    ]


# Breadth, and what the limiters of the library do.


@pytest.mark.databases("postgresql")
def test_sixty_guesses_in_one_request(people: People, session: Callable[..., None]) -> None:
    def send(of: strawberry.Schema, query: str) -> Any:
        with queries() as sent:
            answer = of.execute_sync(query, context_value=context())
        print(f"{len(sent.statements)} queries")
        if answer.errors:
            print(answer.errors[0].message)
        return answer.data

    session("limits_aliases.pycon", send=send, unlimited=unlimited, schema=schema)


@pytest.mark.wrong("lab/graphql_api/limits.py:wrong_limits")
def test_limiters_of_the_library_walk_every_path(record: Recorder) -> None:
    def steps(of: Any, name: str, work: Callable[[], object]) -> int:
        with mock.patch.object(of, name, autospec=True, side_effect=getattr(of, name)) as counted:
            work()
        return counted.call_count

    heads = ("Fragments", "Characters", "Steps of `QueryDepthLimiter`", "of `MaxAliasesLimiter`", "of `Estimate`")
    lines = [f"| {' | '.join(heads)} |", "| ---: " * len(heads) + "|"]
    for number in (4, 8, 12):
        query = doubling(number)
        assert price(query) == Price()
        limited = partial(wrong_limits.execute_sync, query, context_value=context())
        assert limited().errors is None
        depth = steps(query_depth_limiter, "determine_depth", limited)
        aliases = steps(max_aliases, "count_fields_with_alias", limited)
        own = steps(Estimate, "part", partial(price, query))
        assert depth == 5 * 2**number // 2 - 1
        assert aliases == 2**number
        assert own == 3 * number
        lines.append(f"| {number} | {len(query)} | {depth:,} | {aliases:,} | {own} |")
    record("limits_fragments.md", "\n".join(lines))


@pytest.mark.wrong("lab/graphql_api/limits.py:wrong_limits")
@pytest.mark.parametrize(
    ("query", "message"),
    [("{ ...Missing }", "'Missing'"), ("{ courses { } }", "max() ")],
)
def test_the_depth_limiter_fails_on_what_is_not_valid(query: str, message: str) -> None:
    [error] = wrong_limits.execute_sync(query, context_value=context()).errors or []
    assert error.message.startswith(message)
    result = schema.execute_sync(query, context_value=context())
    assert all(not error.message.startswith(message) for error in result.errors or [])


class Raises(SchemaExtension):
    """Fails before execution."""

    def on_execute(self) -> Any:
        """Fail."""
        raise ConnectionError("no route to 10.0.0.5")
        yield


def test_what_an_extension_raises_is_not_masked_and_leaves_the_optimizer_on(academy: None) -> None:
    made = strawberry.Schema(query=Query, extensions=[DjangoOptimizerExtension, MaskErrors, Raises])
    assert optimizer.get() is None
    try:
        [error] = made.execute_sync("{ me { name } }", context_value=context()).errors or []
        assert error.message == "no route to 10.0.0.5"
        assert optimizer.get() is not None
    finally:
        optimizer.set(None)


def test_limits_do_neither(
    people: People, ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("strawberry.execution").disabled = False
    ask(deep(25))
    assert optimizer.get() is None
    monkeypatch.setattr(cache, "add", mock.Mock(side_effect=ConnectionError("no route to 10.0.0.5")))
    assert ask("{ me { name } }").json() == {"data": None, "errors": [{"message": "Unexpected error."}]}
    assert optimizer.get() is None
    assert "ConnectionError: no route" in caplog.text


# The estimate.

ESTIMATES = {
    "the course Python": '{ course(slug: "python") { title } }',
    "courses, no number": "{ courses { edges { node { title } } } }",
    "100 courses": "{ courses(first: 100) { edges { node { title } } } }",
    "100 courses, their lessons": "{ courses(first: 100) { edges { node { lessons { title } } } } }",
    "3 courses, 2 enrollments each": operation("rosters.graphql"),
    "3 courses, enrollments, no number": (
        "{ courses(first: 3) { edges { node { enrollments { edges { node { grade } } } } } } }"
    ),
    "100 courses, 100 enrollments each": (
        "{ courses(first: 100) { edges { node { enrollments(first: 100) { edges { node { grade } } } } } } }"
    ),
}


@pytest.mark.databases("postgresql")
def test_what_the_estimate_says_and_what_comes(people: People, record: Recorder) -> None:
    Course.objects.update(teacher=people.teacher, published=True)
    lines = ["| Asked for | Estimated rows | Rows that came |", "| --- | ---: | ---: |"]
    for name, query in ESTIMATES.items():
        answer = unlimited.execute_sync(query, context_value=context(people.teacher))
        assert answer.errors is None
        estimated, came = price(query).rows, rows_of(answer.data)
        assert estimated >= came
        allowed = f"{estimated:,}" if estimated <= limits.MAX_ROWS else f"{estimated:,}, refused"
        lines.append(f"| {name} | {allowed} | {came} |")
    record("limits_estimates.md", "\n".join(lines))


def rows_of(data: Any) -> int:
    """Return how many rows of the database an answer shows."""
    if isinstance(data, list):
        return sum(rows_of(each) for each in data)
    if not isinstance(data, dict):
        return 0
    is_row = bool({"title", "grade"} & set(data)) or ("lessons" in data) or ("enrollments" in data)
    is_row = is_row and not {"course", "courses"} & set(data)
    return is_row + sum(rows_of(each) for each in data.values())


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ me { name } }", None, Price(1, 1, 0)),
        ("query ($n: Int = 7) { courses(first: $n) { totalCount } }", None, Price(7, 1, 0)),
        ("query ($n: Int = 7) { courses(first: $n) { totalCount } }", {"n": 3}, Price(3, 1, 0)),
        ("{ courses(first: 2, last: 9) { totalCount } }", None, Price(9, 1, 0)),
        ("{ a: me { b: name } c: me { name } }", None, Price(2, 1, 3)),
        ("{ ... on Query { me { ...N } } } fragment N on Learner { n: name }", None, Price(1, 1, 1)),
        ("{ ...A } fragment A on Query { ... @include(if: true) { me { name } } }", None, Price(1, 1, 0)),
        ("query ($n: Int) { courses(first: $n) { totalCount } }", {"n": 90.0}, Price(90, 1, 0)),
        ("query ($n: Int = 7) { courses(first: $n) { totalCount } }", {"n": None}, Price(20, 1, 0)),
        ("query ($n: Int) { courses(first: $n, last: null) { totalCount } }", {}, Price(20, 1, 0)),
        ("query ($n: Int!) { courses(first: $n) { totalCount } }", {"n": "x"}, Price()),
        ("{ courses { edges { node { enrollments { totalCount } } } } }", None, Price(20 + 20 * 100, 4, 0)),
        ("{ x: __schema { types { name } } }", None, Price(0, 0, 1)),
        ("{ __schema { ...S } } fragment S on __Schema { a: types { b: name } }", None, Price(0, 0, 2)),
        ('{ course(slug: "x") { ... on Node { ... on Course { a: tags { name } } } } }', None, Price(11, 2, 1)),
        ('{ course(slug: "x") { tags @skip(if: true) { name } } }', None, Price(11, 2, 0)),
        ("query A { me { name } } query B { courses { totalCount } }", None, Price(1, 1, 0)),
        ("mutation { enroll(courseSlug: 1) { ... on Enrollment { course { title } } } }", None, Price(2, 2, 0)),
        ('{ course(slug: "x") { tags { name } lessons { course { title } } } }', None, Price(31, 3, 0)),
        ("{ courses { } }", None, Price(20, 1, 0)),
    ],
)  # fmt: skip
def test_prices(query: str, variables: dict[str, Any] | None, expected: Price) -> None:
    assert price(query, variables) == expected


def test_the_named_operation_is_the_one_that_counts(people: People, ask: Ask) -> None:
    both = f"query Small {{ me {{ name }} }} query Large {deep(25)}"
    assert ask(both, operation="Small").json() == {"data": {"me": None}}
    assert "levels" in ask(both, operation="Large").json()["errors"][0]["message"]


def test_every_document_of_the_lab_is_within_the_limits() -> None:
    assert len(DOCUMENTS) >= 14
    for text in DOCUMENTS.values():
        found = price(text)
        assert found.rows <= limits.MAX_ROWS / 2, text
        assert found.depth < limits.MAX_DEPTH, text
        assert found.aliases <= 2, text


def test_tools_can_still_ask_for_the_schema(people: People, ask: Ask) -> None:
    assert "errors" not in ask(get_introspection_query()).json()


# A budget.


@pytest.mark.databases
def test_the_budget_of_a_minute(people: People, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUDGET", 500)
    query = "{ courses(first: 100) { totalCount } }"

    def codes(number: int, user: Any = None) -> list[str]:
        return [ask(query, user=user).json().get("errors", [{"extensions": {"code": "ok"}}])[0]["extensions"]["code"]
                for _ in range(number)]  # fmt: skip

    with time_machine.travel("2026-11-23T10:00:30Z", tick=False):
        assert codes(7, people.ama) == ["ok"] * 5 + ["THROTTLED"] * 2
        assert codes(1, people.kofi) == ["ok"]
        assert codes(6) == ["ok"] * 5 + ["THROTTLED"]
    with time_machine.travel("2026-11-23T10:01:00Z", tick=False):
        assert codes(1, people.ama) == ["ok"]


# Time.


@pytest.mark.databases("postgresql")
def test_the_database_stops_a_slow_statement(academy: None, session: Callable[..., None]) -> None:
    session("limits_timeout.pycon", connection=connection, transaction=transaction, OperationalError=OperationalError)


# Trusted documents.


@pytest.mark.databases("postgresql")
def test_only_known_documents(academy: None, session: Callable[..., None]) -> None:
    def send(query: str | None = None, hash: str = "") -> Any:  # noqa: A002
        extensions = {"persistedQuery": {"version": 1, "sha256Hash": hash}} if hash else None
        result = closed.execute_sync(
            query, {"slug": "python"}, context_value=context(), operation_extensions=extensions
        )
        return result.data or [error.message for error in result.errors or []]

    session("limits_trusted.pycon", send=send, digest=digest, card=operation("course_card.graphql"))
    assert send() == ["There is no such document."]
    assert send(hash="0" * 64) == ["There is no such document."]


def test_the_graph_itself_takes_a_hash_too(people: People, ask: Ask) -> None:
    known = digest(operation("everything.graphql"))
    body = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": known}}}
    answer = Client().post("/graphql/", body, content_type="application/json")
    assert len(answer.json()["data"]["courses"]["edges"]) == 9
    wrong: list[tuple[Any, str]] = [
        ({"sha256Hash": "0" * 64}, "There is no such document."),
        ({"sha256Hash": ["x"]}, "There is no such document."),
        ({}, "There is no such document."),
        ([], "No GraphQL query found in the request"),
        (1, "No GraphQL query found in the request"),
    ]
    for asked, message in wrong:
        other = {"extensions": {"persistedQuery": asked}}
        [error] = Client().post("/graphql/", other, content_type="application/json").json()["errors"]
        assert error["message"] == message, asked
