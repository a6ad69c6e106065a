"""What a query asks for is what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    build_client_schema,
    build_schema,
    get_introspection_query,
    graphql_sync,
    lexicographic_sort_schema,
    parse,
    print_schema,
    validate,
)

from lab.graphql_api.queries import search, wrong_search
from lab.graphql_api.schema import schema
from tests.lab.graphql_api.operations import operation, shown
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.people import People
    from tests.recording.files import Recorder


@pytest.mark.databases("postgresql")
def test_the_answer_has_the_shape_of_the_query(people: People, ask: Callable[..., Any], record: Recorder) -> None:
    answer = ask(operation("course_page.graphql"), {"slug": "testing"})
    record("queries_course_page.json", shown(answer.json()))
    answer = ask(operation("levels.graphql"))
    record("queries_levels.json", shown(answer.json()))


def test_a_missing_course_is_an_answer(people: People, ask: Callable[..., Any]) -> None:
    answer = ask(operation("course_page.graphql"), {"slug": "cobol"})
    assert (answer.status_code, answer.json()) == (200, {"data": {"course": None}})


@pytest.mark.parametrize(("full", "fields"), [(True, {"title", "description"}), (False, {"title", "seats"})])
def test_directives_choose_fields(people: People, ask: Callable[..., Any], full: bool, fields: set[str]) -> None:
    answer = ask(operation("course_card.graphql"), {"slug": "django", "full": full})
    assert set(answer.json()["data"]["course"]) == fields
    if not full:
        without = ask(operation("course_card.graphql"), {"slug": "django"})
        assert without.json() == answer.json(), "the default of the variable is false"


@pytest.mark.databases("postgresql")
def test_a_field_that_is_left_out_is_no_null(people: People, ask: Callable[..., Any], record: Recorder) -> None:
    answer = ask(operation("course_card.graphql"), {"slug": "django"})
    record("queries_course_card.json", shown(answer.json()))


@pytest.mark.databases("postgresql")
def test_a_union_says_which_type_it_is(people: People, ask: Callable[..., Any], record: Recorder) -> None:
    first = ask(operation("enroll.graphql"), {"slug": "docker"}, people.ama).json()
    again = ask(operation("enroll.graphql"), {"slug": "docker"}, people.ama).json()
    record("queries_union.json", shown(first) + "\n" + shown(again))


def test_several_operations_need_a_name(people: People, ask: Callable[..., Any]) -> None:
    both = operation("course_card.graphql") + operation("levels.graphql")
    answer = ask(both, operation="Levels")
    assert set(answer.json()["data"]) == {"easy", "hard"}
    assert ask(both, operation="Grades").status_code == 422
    # The specification wants an error here; Strawberry runs the first one.
    answer = ask(both, {"slug": "django"})
    assert set(answer.json()["data"]) == {"course"}
    [error] = graphql_sync(build_schema("type Query { x: Int }"), "query A { x } query B { x }").errors or []
    assert error.message == "Must provide operation name if query contains multiple operations."


@pytest.mark.databases("postgresql")
def test_what_failed_is_named_beside_the_rest(people: People, ask: Callable[..., Any], record: Recorder) -> None:
    answer = ask(operation("partial.graphql"), {"slug": "python"}, people.ama)
    assert answer.json()["data"] == {"me": {"name": "Ama"}, "course": None}
    record("queries_partial.json", shown(answer.json()))


@pytest.mark.databases("postgresql")
def test_a_wrong_query_asks_the_database_nothing(people: People, ask: Callable[..., Any], record: Recorder) -> None:
    with queries() as sent:
        answer = ask("{ me { name } courses { totalCount edges { node { titel } } } }")
    assert sent.statements == []
    assert answer.json()["data"] is None
    record("queries_unknown_field.json", shown(answer.json()))
    with queries() as sent:
        answer = ask(operation("course_page.graphql"), {"slug": 7})
    assert sent.statements == []
    record("queries_wrong_variable.json", shown(answer.json()))


@pytest.mark.databases("postgresql")
def test_the_schema_can_be_asked_for(people: People, ask: Callable[..., Any], record: Recorder) -> None:
    answer = ask(operation("introspection.graphql"))
    record("queries_introspection.json", shown(answer.json()))


def test_the_same_field_twice_needs_an_alias(people: People, ask: Callable[..., Any]) -> None:
    query = "{ courses(level: BEGINNER) { totalCount } courses(level: ADVANCED) { totalCount } }"
    [error] = ask(query).json()["errors"]
    assert "use different aliases" in error["message"].lower()


def test_introspection_tells_the_whole_schema(people: People, ask: Callable[..., Any]) -> None:
    told = ask(get_introspection_query()).json()["data"]
    both = build_client_schema(told), build_schema(schema.as_str())
    assert len({print_schema(lexicographic_sort_schema(each)) for each in both}) == 1


@pytest.mark.wrong("lab/graphql_api/queries.py:wrong_search")
@pytest.mark.databases
def test_a_formatted_text_becomes_part_of_the_query(people: People, ask: Callable[..., Any]) -> None:
    typed = '") { totalCount } enrollments(first: 2) { edges { node { grade } } } x: courses(search: "'
    assert titles(ask(**wrong_search("django"), user=people.teacher)) == ["Django"], "it works until somebody tries"
    leaked = ask(**wrong_search(typed), user=people.teacher).json()["data"]
    assert set(leaked) == {"courses", "enrollments", "x"}
    assert len(leaked["enrollments"]["edges"]) == 2
    assert titles(ask(**search("django"), user=people.teacher)) == ["Django"]
    assert titles(ask(**search(typed), user=people.teacher)) == []


def titles(answer: Any) -> list[str]:
    """Return the titles in an answer."""
    return [edge["node"]["title"] for edge in answer.json()["data"]["courses"]["edges"]]


@pytest.mark.databases("postgresql")
def test_the_injection_as_the_page_shows_it(
    people: People, ask: Callable[..., Any], session: Callable[..., None]
) -> None:
    def show(body: dict[str, Any]) -> None:
        print(shown(ask(**body, user=people.teacher).json()["data"]))

    session("queries_injection.pycon", show=show, search=search, wrong_search=wrong_search)


def test_every_operation_fits_the_schema() -> None:
    for name in (
        "course_card.graphql",
        "course_page.graphql",
        "enroll.graphql",
        "introspection.graphql",
        "levels.graphql",
        "my_enrollments.graphql",
        "partial.graphql",
    ):
        assert validate(schema._schema, parse(operation(name))) == [], name
