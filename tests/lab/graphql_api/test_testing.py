"""Ways to test a schema, and tests that cannot fail."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.test import Client
from graphql import parse, validate
from hypothesis import Phase, given
from hypothesis import settings as tries
from strawberry_django.test.client import TestClient

from lab.academy.models import Course
from lab.academy.seed import seed
from lab.graphql_api.schema import schema
from lab.graphql_api.trusted import FOLDER
from tests.lab.graphql_api.operations import context, operation
from tests.lab.people import bearer
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from tests.lab.people import People

    Ask = Callable[..., Any]


# --8<-- [start:data]
def data(body: dict[str, Any]) -> dict[str, Any]:
    """Return the data of an answer without errors."""
    assert "errors" not in body, body["errors"]
    found: dict[str, Any] = body["data"]
    return found


# --8<-- [end:data]

# Through the view, and without it.


# --8<-- [start:both]
def test_through_the_view_and_without_it(people: People, ask: Ask) -> None:
    query = operation("my_enrollments.graphql")
    through_http = data(ask(query, user=people.ama).json())
    without = schema.execute_sync(query, context_value=context(people.ama))
    assert without.errors is None
    assert without.data == through_http


# --8<-- [end:both]


def test_what_the_view_alone_does(people: People) -> None:
    """Each of these is nothing to the schema."""
    query = "{ me { name } }"
    assert schema.execute_sync(query, context_value=context()).errors is None
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people.ama)
    body = {"query": query}
    assert strict.post("/graphql/", body, content_type="application/json").status_code == 403
    token = {"authorization": "Bearer nonsense"}
    assert Client().post("/graphql/", body, content_type="application/json", headers=token).status_code == 401
    assert Client().post("/graphql/", query, content_type="text/plain").status_code == 415
    assert Client().post("/graphql/", {"query": "\0"}, content_type="application/json").status_code == 400


def test_what_the_schema_does_in_both(people: People, ask: Ask) -> None:
    deep = "title"
    for _ in range(5):
        deep = f"lessons {{ course {{ {deep} }} }}"
    deep = f'{{ course(slug: "python") {{ {deep} }} }}'
    result = schema.execute_sync(deep, context_value=context())
    assert result.errors
    assert result.errors[0].message == ask(deep).json()["errors"][0]["message"]
    assert "levels" in result.errors[0].message
    broken = schema.execute_sync('{ course(slug: "python") { enrollments(after: "x") { totalCount } } }',
                                 context_value=context())  # fmt: skip
    assert [error.message for error in broken.errors or []] == ["Unexpected error."]


def test_the_client_of_the_library(people: People) -> None:
    client = TestClient("/graphql/")
    with client.login(people.ama):
        answer: Any = client.query("{ me { name } }")
    assert answer.data == {"me": {"name": "Ama"}}
    with pytest.raises(AssertionError):
        client.query("{ you { name } }")
    failed: Any = client.query("{ you { name } }", assert_no_errors=False)
    assert failed.errors


# A test that cannot fail.


# --8<-- [start:wrong_nothing_to_see]
def wrong_nothing_to_see(body: dict[str, Any]) -> None:
    """Assert that a stranger sees no enrollment."""
    found = (body["data"] or {}).get("enrollments") or {}
    assert not found.get("edges")


# --8<-- [end:wrong_nothing_to_see]


# --8<-- [start:nothing_to_see]
def nothing_to_see(body: dict[str, Any]) -> None:
    """Assert that a stranger sees no enrollment."""
    assert data(body)["enrollments"]["edges"] == []


# --8<-- [end:nothing_to_see]


@pytest.mark.wrong("tests/lab/graphql_api/test_testing.py:wrong_nothing_to_see")
def test_a_null_is_no_proof(people: People, ask: Ask, session: Callable[..., None]) -> None:
    right = "{ enrollments { edges { node { grade } } } }"
    wrong = "{ enrollment { edges { node { grade } } } }"
    for query in (right, wrong):
        wrong_nothing_to_see(ask(query).json())
    nothing_to_see(ask(right).json())
    with pytest.raises(AssertionError):
        nothing_to_see(ask(wrong).json())
    with pytest.raises(AssertionError):
        nothing_to_see(ask(right, user=people.teacher).json())


@pytest.mark.wrong("tests/lab/graphql_api/test_testing.py:wrong_nothing_to_see")
@pytest.mark.databases("postgresql")
def test_the_null_as_the_page_shows_it(people: People, ask: Ask, session: Callable[..., None]) -> None:
    def checked(check: Callable[..., None], query: str) -> str:
        answer = ask(query)
        try:
            check(answer.json())
        except AssertionError as error:
            return f"{answer.status_code}, failed: {error.args[0][0]['message']}"
        return f"{answer.status_code}, passed"

    session("testing_null.pycon", checked=checked, wrong_nothing_to_see=wrong_nothing_to_see,
            nothing_to_see=nothing_to_see)  # fmt: skip


# Documents as a contract.


# --8<-- [start:contract]
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.graphql")), ids=lambda path: path.stem)
def test_every_document_fits_the_schema(path: Any) -> None:
    document = parse(path.read_text(encoding="utf-8"))
    assert validate(schema._schema, document) == []


# --8<-- [end:contract]


def test_a_document_that_does_not_fit_is_noticed() -> None:
    text = operation("course_page.graphql").replace("minutes", "hours")
    [error] = validate(schema._schema, parse(text))
    assert error.message == "Cannot query field 'hours' on type 'Lesson'. Did you mean 'course'?"


# The number of queries.


# --8<-- [start:count]
@pytest.mark.databases
@pytest.mark.parametrize("size", [10, 100])
def test_more_rows_need_no_more_queries(db: None, ask: Ask, size: int) -> None:
    seed(courses=size, learners=0)
    Course.objects.update(published=True)
    query = "{ courses(first: 100) { edges { node { title lessons { title } } } } }"
    with queries() as sent:
        found = data(ask(query).json())["courses"]["edges"]
    assert len(found) == size
    assert len(sent.statements) == 2


# --8<-- [end:count]

# Queries that nobody wrote.


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep the log of thousands of wrong queries out of the output."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


# --8<-- [start:drive]
ALLOWED = (
    "A page has ",
    "This asks for ",
    "Invalid cursor",
    "Value cannot represent a GlobalID",
    "A text holds a null character",
    "Only ",  # the teacher of a course adds lessons
)


def drive(kind: Any, token: dict[str, str]) -> set[str]:
    """Send what the schema allows, whatever it is, and return the messages of all errors."""
    messages = set()

    @tries(max_examples=30, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(case=kind.as_strategy())
    def send(case: schemathesis.Case) -> None:
        cache.clear()  # the budget is not the subject
        answer = case.call(headers=token)
        assert answer.status_code == 200
        found = {error["message"] for error in answer.json().get("errors", ())}
        if re.search("(after|before):", str(case.body)):  # masked, when it is nested
            found -= {"Unexpected error."}
        messages.update(found)

    send()
    return messages


@pytest.mark.slow
@pytest.mark.databases
def test_queries_that_nobody_wrote(people: People, settings: Settings, kept_open: None, quiet: None) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    token = bearer(people.teacher)
    graph = schemathesis.graphql.from_wsgi("/graphql/", get_wsgi_application())
    kinds: list[Any] = [each.ok() for each in graph.get_all_operations()]  # type: ignore[union-attr]
    assert len(kinds) == 7
    found = {text for kind in kinds for text in drive(kind, token)}
    unexpected = {text for text in found if not text.startswith(ALLOWED)}
    assert unexpected == set()


# --8<-- [end:drive]
