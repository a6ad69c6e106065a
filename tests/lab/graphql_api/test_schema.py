"""What the schema promises, and that the promise is kept."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
import strawberry_django
from django.db.models import fields
from graphql import TypeDefinitionNode, build_schema, parse, print_schema, validate
from strawberry.relay import from_base64
from strawberry_django.fields.types import field_type_map

from lab.academy.models import Course, Enrollment
from lab.graphql_api.schema import breaking, dangerous, schema
from lab.graphql_api.schema_samples import strict
from tests.lab.graphql_api.operations import context, operation, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.people import People
    from tests.recording.files import Recorder

# The parts of the recorded schema that the page shows.
PARTS = {
    "enrollment": "Enrollment",
    "level": "Level",
    "problem": "Problem",
    "not_possible": "NotPossible",
    "enroll_result": "EnrollResult",
    "add_lesson_input": "AddLessonInput",
    "mutation": "Mutation",
}


def with_parts(sdl: str) -> str:
    """Return a schema with marks around the parts that pages show; to GraphQL they are comments."""
    found = {node.name.value: node.loc for node in parse(sdl).definitions if isinstance(node, TypeDefinitionNode)}
    places = [(name, found[kind]) for name, kind in PARTS.items()]
    for name, place in sorted(places, key=lambda part: -part[1].start if part[1] else 0):
        assert place
        text = f"# --8<-- [start:{name}]\n{sdl[place.start : place.end]}\n# --8<-- [end:{name}]"
        sdl = sdl[: place.start] + text + sdl[place.end :]
    return sdl


# --8<-- [start:unchanged]
def test_the_schema_is_the_recorded_one(record: Recorder) -> None:
    new = schema.as_str()
    path = record.path("schema.graphql")
    if path.exists():
        old = path.read_text(encoding="utf-8")
        assert breaking(old, new) == [], "clients that exist would fail"
    record("schema.graphql", with_parts(new))


# --8<-- [end:unchanged]


def test_the_marks_change_nothing(record: Recorder) -> None:
    whole = record.path("schema.graphql").read_text(encoding="utf-8")
    assert print_schema(build_schema(whole)) == print_schema(build_schema(schema.as_str()))
    assert whole.count("[start:") == len(PARTS)


def test_what_changes_break(session: Callable[..., None]) -> None:
    now = schema.as_str()
    session("schema_changes.pycon", now=now, breaking=breaking, dangerous=dangerous)


def test_a_changed_schema_fails_the_comparison() -> None:
    old = schema.as_str()
    assert breaking(old, old) == dangerous(old, old) == []
    without = old.replace("  minutes: Int!\n", "", 1)
    assert without != old
    assert breaking(old, without) == ["Field Lesson.minutes was removed."]
    assert breaking(without, old) == [], "adding is safe"


@strawberry_django.type(Course)
class Automatic:
    """A course with a level that Strawberry chooses the type of."""

    level: strawberry.auto


@pytest.fixture
def draft(people: People) -> Enrollment:
    """Make a draft of the course that Kofi joined first."""
    first = Enrollment.objects.filter(learner__user=people.kofi).order_by("enrolled_on", "pk")[0]
    Course.objects.filter(pk=first.course_id).update(published=False, teacher=None)
    return first


@pytest.mark.wrong("lab/graphql_api/schema_samples.py:wrong_enrollment")
@pytest.mark.databases
def test_a_null_climbs_to_the_next_field_that_may_be_null(
    people: People, draft: Enrollment, ask: Callable[..., Any]
) -> None:
    query = operation("my_enrollments.graphql")
    result = strict.execute_sync(query, context_value=context(people.kofi))
    assert result.data is None, "nothing between the course and data may be null"
    assert result.errors
    assert [error.message for error in result.errors] == [
        "Cannot return null for non-nullable field StrictEnrollment.course."
    ]
    assert result.errors[0].path == ["enrollments", "edges", 0, "node", "course"]
    body = ask(query, user=people.kofi).json()
    assert "errors" not in body
    first, second = body["data"]["enrollments"]["edges"]
    assert first["node"]["course"] is None
    assert second["node"]["course"]["title"]
    assert body["data"]["me"] == {"name": "Kofi"}


@pytest.mark.databases("postgresql")
def test_the_answers_of_both_schemas(
    people: People, draft: Enrollment, ask: Callable[..., Any], record: Recorder
) -> None:
    query = operation("my_enrollments.graphql")
    result = strict.execute_sync(query, context_value=context(people.kofi))
    assert result.errors
    errors = [error.formatted for error in result.errors]
    record("schema_null_climbs.json", shown({"data": result.data, "errors": errors}))
    record("schema_null.json", shown(ask(query, user=people.kofi).json()))


@pytest.mark.parametrize(
    ("field", "graphql"),
    [
        (fields.CharField, "String"),
        (fields.TextField, "String"),
        (fields.EmailField, "String"),
        (fields.PositiveSmallIntegerField, "Int"),
        (fields.BigIntegerField, "Int"),
        (fields.FloatField, "Float"),
        (fields.BooleanField, "Boolean"),
        (fields.DateField, "Date"),
        (fields.DateTimeField, "DateTime"),
        (fields.DecimalField, "Decimal"),
        (fields.UUIDField, "UUID"),
        (fields.BigAutoField, "ID"),
    ],
)
def test_auto_takes_the_type_of_the_column(field: type, graphql: str) -> None:
    made = strawberry.type(type("Query", (), {"__annotations__": {"x": field_type_map[field]}}))
    assert f"x: {graphql}!" in strawberry.Schema(query=made).as_str()


@strawberry.type
class Scalars:
    """The custom scalars of the page's table."""

    day: datetime.date = datetime.date(2026, 3, 2)
    price: decimal.Decimal = decimal.Decimal("9.50")
    number: uuid.UUID = uuid.UUID(int=7)
    key: strawberry.ID = strawberry.ID("3")


def test_custom_scalars_and_ids_are_strings_on_the_wire() -> None:
    made = strawberry.Schema(query=Scalars)
    result = made.execute_sync("{ day price number key }", root_value=Scalars())
    assert result.data == {"day": "2026-03-02", "price": "9.50", "number": str(uuid.UUID(int=7)), "key": "3"}


def test_a_new_promise_may_break_a_query_that_reads_two_types_under_one_key() -> None:
    old = "type A { n: Int } type B { n: Int } union U = A | B type Query { u: U }"
    new = old.replace("A { n: Int }", "A { n: Int! }")
    query = parse("{ u { ... on A { n } ... on B { n } } }")
    assert breaking(old, new) == [], "graphql-core calls it safe"
    assert validate(build_schema(old), query) == []
    [error] = validate(build_schema(new), query)
    assert "conflicting types 'Int!' and 'Int'" in error.message


@strawberry.input(one_of=True)
class By:
    """What a course can be found by."""

    slug: strawberry.Maybe[str]
    title: strawberry.Maybe[str]


@strawberry.type(name="Query")
class Finding:
    """A field with such an input."""

    @strawberry.field
    def course(self, by: By) -> str:
        """Return what was asked for."""
        found = by.slug or by.title
        return found.value if found else ""


def test_an_input_of_which_one_field_is_given() -> None:
    made = strawberry.Schema(query=Finding)
    assert "input By @oneOf {" in made.as_str()
    assert made.execute_sync('{ course(by: {slug: "django"}) }').data == {"course": "django"}
    assert made.execute_sync('{ course(by: {slug: "django", title: "Django"}) }').errors


def test_an_int_has_32_bits() -> None:
    @strawberry.type
    class Query:
        largest: int = 2**31 - 1
        too_large: int = 2**31

    made = strawberry.Schema(query=Query)
    assert made.execute_sync("{ largest }", root_value=Query()).data == {"largest": 2**31 - 1}
    [error] = made.execute_sync("{ tooLarge }", root_value=Query()).errors or []
    assert error.message == "Int cannot represent non 32-bit signed integer value: 2147483648"


def test_auto_leaves_choices_a_string() -> None:
    assert "level: String!" in strawberry.Schema(query=Automatic).as_str()
    assert "level: Level!" in schema.as_str()


def test_an_id_is_the_type_and_the_key(people: People, ask: Callable[..., Any]) -> None:
    found = ask('{ course(slug: "django") { id } }').json()["data"]["course"]["id"]
    assert from_base64(found) == ("Course", str(Course.objects.get(slug="django").pk))
