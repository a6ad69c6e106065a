"""What people send who want the graph to fall over, and what they hear."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import transaction
from django.test import Client, RequestFactory
from strawberry.django.views import GraphQLView

from lab.academy.models import Enrollment
from lab.graphql_api.http import NEW
from lab.graphql_api.limits import mute, secret
from lab.graphql_api.mutations import Mutation
from lab.graphql_api.queries import Query
from tests.lab.graphql_api.operations import context, deep, doubling
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.people import People
    from tests.recording.files import Recorder

    Ask = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("quiet")


@dataclass
class Attack:
    """One request, its name, the status from the lab, and that from Strawberry alone."""

    name: str
    lab: int
    alone: int
    query: Any = None
    variables: Any = None
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        """What is sent."""
        if self.raw is not None:
            return self.raw
        parts = {"query": self.query, "variables": self.variables}
        return json.dumps({name: part for name, part in parts.items() if part is not None}).encode()


SEARCH = "query Search($text: String!) { courses(search: $text) { totalCount } }"
CARD = "query Card($slug: String!) { course(slug: $slug) { title } }"
ME = b'{"query": "{ me { name } }", "variables": '
MANY = " ".join(f'a{i}: courses(search: "{i}") {{ totalCount }}' for i in range(60))
GUESSES = " ".join(f'a{i}: course(slug: "{i}") {{ title }}' for i in range(60))
JOINS = " ".join(f'a{i}: enroll(courseSlug: "docker") {{ __typename }}' for i in range(60))
WIDE = "{ courses(first: 100) { edges { node { enrollments(first: 100) { edges { node { grade } } } } } } }"
NAMES = " ".join(f"a{i}: types {{ fields {{ name }} }}" for i in range(60))
TYPES = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"

# fmt: off
ATTACKS = [
    Attack("9 levels", 422, 200, deep(4)),
    Attack("60 aliases of a search", 422, 200, f"{{ {MANY} }}"),
    Attack("60 guesses of a slug", 422, 200, f"{{ {GUESSES} }}"),
    Attack("60 mutations", 422, 200, f"mutation {{ {JOINS} }}"),
    Attack("`first: 100` in `first: 100`", 422, 200, WIDE),
    Attack("the same by variables", 422, 200,
           WIDE.replace("{ courses", "query ($n: Int) { courses", 1).replace("100", "$n"), {"n": 100}),
    Attack("`first: 1000` in a course", 422, 200,
           '{ course(slug: "python") { enrollments(first: 1000) { totalCount } } }'),
    Attack("`first: 200.0` by a variable", 422, 200,
           "query ($n: Int) { courses { edges { node { enrollments(first: $n) { totalCount } } } } }", {"n": 200.0}),
    Attack("`first: -1` in courses", 422, 200,
           "{ courses { edges { node { enrollments(first: -1) { totalCount } } } } }"),
    Attack("`first: 4294967296`", 422, 200, "{ courses(first: 4294967296) { totalCount } }"),
    Attack("fragments in a circle", 422, 200,
           "{ me { ...A } } fragment A on Learner { ...B } fragment B on Learner { ...A }"),
    Attack("16 fragments, each spread twice", 200, 200, doubling(16)),
    Attack("an unknown fragment", 422, 200, "{ ...Missing }"),
    Attack("a directive 300 times", 400, 200, "{ me { name " + "@skip(if: false) " * 300 + "} }"),
    Attack("1,000 unknown fields", 400, 200, "{ " + " ".join(f"a{i}" for i in range(1000)) + " }"),
    Attack("100 kB of query", 400, 200, "{ me { " + "name " * 20_000 + "} }"),
    Attack("`{ me` 3,000 times", 400, 200, "{ me " * 3000),
    Attack("introspection in circles", 422, 200, TYPES),
    Attack("60 aliases in introspection", 422, 200, f"{{ __schema {{ {NAMES} }} }}"),
    Attack("a batch of two", 422, 400, raw=b'[{"query": "{ __typename }"}, {"query": "{ __typename }"}]'),
    Attack("no JSON: `{\"query\": `", 400, 400, raw=b'{"query": '),
    Attack("no object: `null`", 422, 500, raw=b"null"),
    Attack("`query` is a number", 422, 400, 1),
    Attack("`variables` is a list", 422, 400, "{ me { name } }", []),
    Attack("a variable of the wrong type", 422, 200, SEARCH, {"text": {"a": 1}}),
    Attack("not UTF-8: `é` in Latin-1", 400, 500, raw='{"query": "{ é }"}'.encode("latin-1")),
    Attack("`[` 100,000 times as variables", 400, 500, raw=ME + b"[" * 100_000),
    Attack("an integer of 5,000 digits", 400, 500, raw=ME + b'{"a": ' + b"9" * 5000 + b"}}"),
    Attack("`NaN`", 400, 200, raw=ME + b'{"a": NaN}}'),
    Attack("a variable of 1 MB", 200, 200, CARD, {"slug": "x" * 1_000_000}),
    Attack("a variable of 3 MB", 413, 400, CARD, {"slug": "x" * 3_000_000}),
    Attack(r"`\u0000` in a variable", 400, 200, SEARCH, {"text": "a\0b"}),
    Attack(r"`\u0000` in the query", 422, 200, r'{ course(slug: "a\u0000b") { title } }'),
    Attack(r"`\ud800`, half a character, in a variable", 400, 200, SEARCH, {"text": "\ud800"}),
    Attack(r"`\ud800` as `operationName`", 400, 500,
           raw=b'{"query": "{ me { name } }", "operationName": "\\ud800"}'),
    Attack("an `id` that is none", 294, 200,
           'mutation { gradeEnrollment(id: "x", grade: 1) { __typename } }'),
]
# fmt: on

LEAKS = ("Traceback", "psycopg", "pymysql", "sqlite", "SELECT", "site-packages", "/lab/", "sys.", "academy_", "None")


def rows() -> dict[str, int]:
    """Return how many rows each table has."""
    return {model.__name__: model._default_manager.count() for model in apps.get_models()}


@pytest.mark.databases
def test_every_attack_is_answered(people: People, database: str, record: Recorder) -> None:
    alone = GraphQLView.as_view(schema=strawberry.Schema(query=Query, mutation=Mutation), graphql_ide=None)
    client = Client(raise_request_exception=False, headers={"accept": NEW})
    lines = ["| What is sent | Strawberry alone | The lab | It says |", "| --- | --- | --- | --- |"]
    for attack in ATTACKS:
        cache.clear()
        before = rows()
        with transaction.atomic(), queries() as sent:
            answer = client.post("/graphql/", attack.body, content_type="application/json")
            transaction.set_rollback(True)
        text = answer.content.decode()
        assert answer.status_code == attack.lab, (attack.name, text[:300])
        assert answer["Content-Type"].startswith("application/"), attack.name
        assert rows() == before, attack.name
        assert not [leak for leak in LEAKS if leak in text], (attack.name, text[:300])
        assert "Unexpected error." not in text, attack.name
        assert len(text) < 1000, attack.name
        asked = [each for each in sent.statements if "academy_" in each]
        assert asked == [] or answer.status_code == 200, attack.name
        says = answer.json().get("errors", [{"message": ""}])[0]["message"]
        if database == "postgresql":
            lines.append(f"| {attack.name} | {alone_says(alone, attack)} | {answer.status_code} | {says} |")
    if database == "postgresql":
        record("limits_hostile.md", "\n".join(lines))


def alone_says(view: Any, attack: Attack) -> str:
    """Return what a view of Strawberry without anything of the lab answers."""
    request = RequestFactory().post("/", attack.body, content_type="application/json")
    request.user = AnonymousUser()
    try:
        with transaction.atomic():
            answer = view(request)
    except Exception as error:  # Django would make a 500 of any
        if type(error).__name__ == "RequestDataTooBig":  # and a 400 of this one
            return "400"
        assert attack.alone == 500, attack.name
        return f"**500** {type(error).__name__}"
    assert answer.status_code == attack.alone, attack.name
    if answer.status_code != 200:
        return f"{answer.status_code}"
    body = json.loads(answer.content)
    found = len(body.get("errors", []))
    return "200" + (f", {found} error{'s' * (found > 1)}" if found else "")


@pytest.mark.databases
def test_the_refusals_are_not_written_and_not_asked(people: People, ask: Ask) -> None:
    before = Enrollment.objects.count()
    with queries() as sent:
        ask(f"mutation {{ {JOINS} }}", user=people.ama)
    assert sent.statements == []
    assert Enrollment.objects.count() == before


@pytest.mark.databases
def test_a_null_character_without_the_rule(people: People, database: str) -> None:
    plain = strawberry.Schema(query=Query)
    result = plain.execute_sync(SEARCH, {"text": "a\0b"}, context_value=context())
    failed = database == "postgresql"
    assert bool(result.errors) is failed
    assert not failed or "NUL" in str(result.errors)


@pytest.mark.databases("postgresql")
def test_what_hiding_the_schema_hides(academy: None, session: Callable[..., None]) -> None:
    def ask(of: strawberry.Schema, query: str) -> None:
        result = of.execute_sync(query, context_value=context())
        messages = [error.message for error in result.errors or []]
        print("\n".join(messages) or result.data)

    session("limits_introspection.pycon", ask=ask, secret=secret, mute=mute)
