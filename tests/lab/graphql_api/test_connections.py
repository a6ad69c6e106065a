"""What a page of a connection holds, and what it costs."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
import strawberry_django
from django.db.models import F, OrderBy
from graphql import parse, validate
from strawberry import relay
from strawberry.relay import from_base64, to_base64
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.relay import DjangoCursorConnection

from lab.academy.models import Course, Enrollment
from lab.academy.seed import seed
from lab.graphql_api.connection_samples import Seat, nested, offsets, paginated, plain, unlimited
from lab.graphql_api.connections import Pages
from lab.graphql_api.mutation_samples import masking
from lab.graphql_api.schema import schema
from tests.lab.graphql_api.operations import context, operation, shown
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.people import People
    from tests.recording.files import Recorder

    Ask = Callable[..., Any]

COURSES = operation("courses.graphql")
DAY = datetime.date(2026, 3, 2)
LISTS = {
    "offsets": (offsets, 100),
    "unlimited": (unlimited, 149),
    "plain": (plain, 149),
    "paginated": (paginated, 100),
    "lab": (schema, 20),
}


def page(of: strawberry.Schema, **variables: Any) -> tuple[list[str], str]:
    """Return the titles of a page and the cursor of its last row."""
    result = of.execute_sync(COURSES, variables, context_value=context())
    assert result.errors is None, result.errors
    assert result.data
    courses = result.data["courses"]
    return [edge["node"]["title"] for edge in courses["edges"]], courses["pageInfo"]["endCursor"]


@pytest.mark.databases("postgresql")
def test_two_pages_on_the_wire(people: People, ask: Ask, record: Recorder, session: Callable[..., None]) -> None:
    first = ask(COURSES, {"first": 2}).json()
    record("connections_first.json", shown(first))
    cursor = first["data"]["courses"]["pageInfo"]["endCursor"]
    with queries() as sent:
        second = ask(COURSES, {"first": 2, "after": cursor}).json()
    record("connections_keyset.sql", sent.text)
    assert [edge["node"]["title"] for edge in second["data"]["courses"]["edges"]] == ["Django", "Docker"]
    assert second["data"]["courses"]["pageInfo"]["hasNextPage"] is True
    assert from_base64(cursor) == ("orderedcursor", '["Databases","1"]')
    session("connections_cursors.pycon", from_base64=from_base64)
    assert page(offsets, first=2)[1] == to_base64("arrayconnection", 1)


@pytest.mark.databases("postgresql")
def test_the_second_page_of_offsets(people: People, record: Recorder) -> None:
    cursor = page(offsets, first=2)[1]
    with queries() as sent:
        assert page(offsets, first=2, after=cursor)[0] == ["Django", "Docker"]
    record("connections_offset.sql", sent.text)


@pytest.mark.databases
def test_walking_through_finds_every_course_once(db: None) -> None:
    seed(courses=50, learners=0)
    found: list[str] = []
    cursor = None
    while True:
        titles, cursor = page(schema, first=7, after=cursor)
        if not titles:
            break
        found += titles
    assert found == list(Course.objects.filter(published=True).values_list("title", flat=True))


@pytest.mark.wrong("lab/graphql_api/connection_samples.py:wrong_offsets")
@pytest.mark.databases
@pytest.mark.parametrize(("name", "repeated"), [("offsets", 1), ("lab", 0)])
def test_a_row_that_comes_between_two_pages(academy: None, name: str, repeated: int) -> None:
    of, _ = LISTS[name]
    before, cursor = page(of, first=3)
    assert before == ["Caching", "Databases", "Django"]
    Course.objects.create(title="Bash", slug="bash", published=True, starts_on=DAY, ends_on=DAY)
    after, _ = page(of, first=3, after=cursor)
    assert len(set(before) & set(after)) == repeated
    Course.objects.filter(slug="bash").delete()
    Course.objects.filter(slug="caching").update(published=False)
    after, _ = page(of, first=3, after=cursor)
    assert ("Docker" in after) is (name == "lab"), "an offset skips a row when one goes"


@pytest.mark.databases("postgresql")
def test_the_repeated_row_as_the_page_shows_it(academy: None, session: Callable[..., None]) -> None:
    bash = Course(title="Bash", slug="bash", published=True, starts_on=DAY, ends_on=DAY)
    session("connections_repeated.pycon", page=page, offsets=offsets, schema=schema, bash=bash)


@pytest.mark.wrong("lab/graphql_api/connection_samples.py:wrong_unlimited")
@pytest.mark.parametrize("name", LISTS)
def test_how_many_come_without_a_number(db: None, name: str) -> None:
    of, number = LISTS[name]
    seed(courses=165, learners=0)
    assert Course.objects.filter(published=True).count() == 149
    shapes = {"plain": "{ title }", "paginated": "{ results { title } }"}
    query = f"{{ courses {shapes.get(name, '{ edges { node { title } } }')} }}"
    assert rows(of, query) == number


def rows(of: strawberry.Schema, query: str) -> int:
    """Return how many courses an answer holds."""
    result = of.execute_sync(query, context_value=context())
    assert result.data
    found = result.data["courses"]
    return len(found if isinstance(found, list) else found.get("edges", found.get("results")))


def test_an_offset_limit_is_cut_without_a_word(db: None) -> None:
    seed(courses=165, learners=0)
    assert rows(paginated, "{ courses(pagination: {limit: 1000}) { results { title } } }") == 100


@pytest.mark.databases("postgresql")
def test_the_sql_without_a_number(people: People, ask: Ask, record: Recorder) -> None:
    with queries() as sent:
        unlimited.execute_sync(operation("everything.graphql"), context_value=context())
    assert "LIMIT" not in sent.text
    record("connections_unlimited.sql", sent.text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first": 101}, "Argument 'first' cannot be higher than 100."),
        ({"last": 101}, "Argument 'last' cannot be higher than 100."),
        ({"first": -1}, "Argument 'first' must be a non-negative integer."),
        ({"first": 2, "after": "Databases"}, None),
        ({"first": 2, "after": to_base64("arrayconnection", 1)}, "Invalid cursor"),
        ({"first": 2, "after": to_base64("orderedcursor", '["Databases"]')}, "Invalid cursor"),
    ],
)
def test_a_wrong_page_is_the_clients_mistake(academy: None, arguments: dict[str, Any], message: str | None) -> None:
    query = COURSES.replace("$after: String", "$after: String, $last: Int").replace("(first:", "(last: $last, first:")
    # A schema that masks, and has no limits that would answer first.
    [error] = masking.execute_sync(query, arguments, context_value=context()).errors or []
    assert error.extensions == {"code": "BAD_USER_INPUT"}
    assert error.message != "Unexpected error."
    assert message is None or error.message == message


def test_a_wrong_cursor_on_the_wire(people: People, ask: Ask) -> None:
    [error] = ask(COURSES, {"first": 2, "after": to_base64("arrayconnection", 1)}).json()["errors"]
    assert error["message"] == "Invalid cursor"
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


def by_grade(order: OrderBy | str) -> strawberry.Schema:
    """Return a schema with a keyset over a column that may be null."""

    @strawberry.type(name="Query")
    class Graded:
        """The enrollments by grade."""

        @strawberry_django.connection(DjangoCursorConnection[Seat])
        def seats(self) -> list[Seat]:
            """Return them in the order that is asked for."""
            return Enrollment.objects.order_by(order)  # type: ignore[return-value]

    return strawberry.Schema(query=Graded, extensions=[DjangoOptimizerExtension])


@pytest.mark.databases
@pytest.mark.parametrize(
    ("order", "losing"),
    [
        ("grade", {"sqlite", "mariadb"}),
        ("-grade", {"postgresql"}),
        (F("grade").asc(nulls_last=True), set()),
        (F("grade").desc(nulls_last=True), set()),
    ],
)
def test_a_keyset_over_nulls_needs_to_know_where_they_stand(
    academy: None, database: str, order: OrderBy | str, losing: set[str]
) -> None:
    first = list(Enrollment.objects.values_list("pk", flat=True)[:5])
    Enrollment.objects.filter(pk__in=first).update(grade=None)
    query = "query Page($a: String) { seats(first: 4, after: $a) { edges { cursor } pageInfo { hasNextPage } } }"
    cursors: list[str] = []
    more = True
    while more:
        variables = {"a": cursors[-1] if cursors else None}
        result = by_grade(order).execute_sync(query, variables, context_value=context())
        assert result.data, result.errors
        cursors += [edge["cursor"] for edge in result.data["seats"]["edges"]]
        more = result.data["seats"]["pageInfo"]["hasNextPage"]
    assert (len(cursors), Enrollment.objects.count()) == (6 if database in losing else 30, 30)


@pytest.mark.databases
def test_the_number_of_all_is_a_query_of_its_own(people: People, ask: Ask) -> None:
    with queries() as sent:
        ask("{ courses(first: 2) { edges { node { title } } } }")
    assert len(sent.statements) == 1
    with queries() as sent:
        answer = ask("{ courses(first: 2) { totalCount edges { node { title } } } }").json()
    assert answer["data"]["courses"]["totalCount"] == 9
    assert len(sent.statements) == 2
    assert "COUNT(*)" in sent.statements[1]
    with queries() as sent:
        ask("{ courses { totalCount } }")
    assert len(sent.statements) == 1, "no rows are read for the number alone"


@pytest.mark.databases
def test_backwards(people: People, ask: Ask) -> None:
    query = "{ courses(last: 2) { edges { cursor node { title } } pageInfo { hasPreviousPage hasNextPage } } }"
    courses = ask(query).json()["data"]["courses"]
    assert [edge["node"]["title"] for edge in courses["edges"]] == ["Security", "Testing"]
    assert courses["pageInfo"] == {"hasPreviousPage": True, "hasNextPage": False}
    cursor = page(schema, first=2)[1]
    query = query.replace("last: 2", f'first: 2, after: "{cursor}"')
    courses = ask(query).json()["data"]["courses"]
    # The specification of connections allows it: what lies behind was not looked for.
    assert courses["pageInfo"] == {"hasPreviousPage": False, "hasNextPage": True}


@pytest.mark.databases
def test_a_nested_connection_is_one_query_for_all_parents(people: People, ask: Ask) -> None:
    Course.objects.update(teacher=people.teacher)
    with queries() as sent:
        answer = ask(operation("rosters.graphql"), user=people.teacher).json()
    assert len(sent.statements) == 2
    with queries() as sent:
        ask(operation("rosters.graphql").replace("first: 3", "first: 9"), user=people.teacher)
    assert len(sent.statements) == 2, "as many for nine courses"
    rosters = [edge["node"]["enrollments"] for edge in answer["data"]["courses"]["edges"]]
    assert all(len(roster["edges"]) == min(2, roster["totalCount"]) for roster in rosters)
    assert any(roster["totalCount"] > 2 for roster in rosters)


@pytest.mark.databases("postgresql")
def test_the_sql_of_a_nested_connection(people: People, ask: Ask, record: Recorder) -> None:
    Course.objects.update(teacher=people.teacher)
    with queries() as sent:
        ask(operation("rosters.graphql"), user=people.teacher)
    sent.statements[:] = sent.statements[1:]
    record("connections_nested.sql", sent.text.replace("-- 1 query", "-- the second of 2 queries"))


def test_cursors_inside_a_connection_cost_a_query_a_row(academy: None) -> None:
    query = "{ courses(first: 3) { edges { node { title enrollments(first: 2) { edges { node { grade } } } } } } }"
    with queries() as sent:
        result = nested.execute_sync(query, context_value=context())
    assert result.data
    rows = sum(len(edge["node"]["enrollments"]["edges"]) for edge in result.data["courses"]["edges"])
    again = [text for text in sent.statements if "enrolled_on" in text and "LIMIT 21" in text]
    assert rows == len(again) == 6, "the cursor needs the column that orders, and the optimizer left it out"
    assert len(sent.statements) == 2 + rows


@strawberry_django.type(Course)
class Subclassed(relay.Node):
    """A course whose enrollments come in pages of the lab's own class."""

    enrollments: Pages[Seat] = strawberry_django.connection()


@strawberry.type
class Query:
    """The courses, as a plain list."""

    courses: list[Subclassed] = strawberry_django.field()


def test_a_subclass_inside_a_type_is_not_optimized(academy: None) -> None:
    made = strawberry.Schema(query=Query, extensions=[DjangoOptimizerExtension])
    query = "{ courses { enrollments(first: 2) { edges { node { grade } } } } }"
    with queries() as sent:
        assert made.execute_sync(query, context_value=context()).errors is None
    assert len(sent.statements) >= 1 + 10, "one a course, at least"


def test_operations_fit_the_schema() -> None:
    for name in ("courses.graphql", "everything.graphql", "rosters.graphql"):
        assert validate(schema._schema, parse(operation(name))) == [], name
