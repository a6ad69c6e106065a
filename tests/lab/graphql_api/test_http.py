"""GraphQL on the wire: media types, status codes, caches."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest
from django.test import Client

from lab.graphql_api.http import NEW, OLD
from lab.graphql_api.trusted import digest
from tests.lab.graphql_api.operations import EVERY_ANSWER, operation
from tests.lab.people import bearer
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Ask = Callable[..., Any]
    Wire = Callable[..., Exchange]

JOIN = 'mutation { enroll(courseSlug: "django") { __typename } }'
SLUG = "query Card($slug: String!) { course(slug: $slug) { title } }"
PARTIAL = '{ me { name } course(slug: "python") { enrollments(after: "x") { totalCount } } }'
LONG = "x" * 3_000_000


def shown(exchange: Exchange) -> str:
    """Return an exchange without what every answer has, and what releases of Python and Django differ in."""
    exchange.response = exchange.response.replace("422 Unprocessable Entity", "422 Unprocessable Content")
    if exchange.request.startswith("POST"):
        exchange.response = re.sub(r"(?m)^Vary: .*\n", "", exchange.response)
    return re.sub(rf"(?m)^({EVERY_ANSWER}): .*(\n|\Z)", "", exchange.text).rstrip()


def posted(query: str, **more: Any) -> str:
    """Return the body of a POST."""
    return json.dumps({"query": query, **more})


def asked(query: str) -> str:
    """Return the query component of a GET."""
    return f"?query={quote(query)}"


class Case(NamedTuple):
    """One kind of request, and what the specification wants for it."""

    name: str
    wants: str
    lab: int
    alone: int
    method: str = "POST"
    body: str = ""
    query: str = ""
    type: str = OLD
    accept: str = NEW


# fmt: off
CASES = [
    Case("a query", "SHOULD 200", 200, 200, body=posted("{ courses { totalCount } }")),
    Case("data beside errors", "SHOULD 294", 294, 200, body=posted(PARTIAL)),
    Case("`data` is null, after running", "SHOULD 294", 294, 200, body=posted(JOIN)),
    Case("a document that does not parse", "SHOULD 400", 400, 200, body=posted("{")),
    Case("a document that does not fit the schema", "SHOULD 422", 422, 200, body=posted("{ curses }")),
    Case("an unknown `operationName`", "SHOULD 422", 422, 400,
         body=posted("query A { __typename }", operationName="B")),
    Case("a variable of the wrong type", "SHOULD 422", 422, 200, body=posted(SLUG, variables={"slug": 7})),
    Case("`variables` is a list", "SHOULD 422", 422, 400, body=posted(SLUG, variables=[7])),
    Case("no `query`", "SHOULD 422", 422, 400, body='{"queries": "{ __typename }"}'),
    Case("a body that is no JSON", "SHOULD 400", 400, 400, body="NONSENSE"),
    Case("a body of 3 MB", "SHOULD 413", 413, 400, body=posted(LONG)),
    Case("`Content-Type: text/plain`", "SHOULD 415", 415, 400, body=posted("{ __typename }"), type="text/plain"),
    Case("`Accept: text/csv`", "SHOULD 406", 406, 200, body=posted("{ __typename }"), accept="text/csv"),
    Case("a query by GET", "MAY", 200, 200, "GET", query=asked("{ __typename }")),
    Case("a mutation by GET", "MUST 4xx, SHOULD 405", 405, 400, "GET", query=asked(JOIN)),
    Case("PUT", "SHOULD 405", 405, 405, "PUT", body=posted("{ __typename }")),
]
# fmt: on


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("lab.graphql_api.http_samples")
def test_every_case_on_the_wire(people: People, wire: Wire, record: Recorder) -> None:
    lines = ["| What is sent | The specification | Strawberry | The lab |", "| --- | --- | --- | --- |"]
    for case in CASES:
        headers = {"Accept": case.accept, "Content-Type": case.type}
        lab, alone = (wire(case.method, f"/{at}/{case.query}", headers, case.body) for at in ("graphql", "alone"))
        assert (lab.status, alone.status) == (case.lab, case.alone), case.name
        [kind] = lab.headers("Content-Type")
        assert kind.startswith(NEW if case.accept == NEW else OLD)
        body = json.loads(lab.body)
        assert ("data" in body) is (case.lab in {200, 294}), case.name
        assert ("errors" in body) is (case.lab != 200), case.name
        if case.lab == 405:
            assert lab.headers("Allow") == ["POST" if case.method == "GET" else "GET, POST"]
            assert alone.headers("Allow") == []
        assert not alone.headers("Content-Type")[0].startswith(NEW)
        lines.append(f"| {case.name} | {case.wants} | {alone.status} | {lab.status} |")
    record("http_codes.md", "\n".join(lines))


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_same_mistake_in_two_media_types(people: People, wire: Wire, record: Recorder) -> None:
    wrong = posted("{ curses }")
    new = wire("POST", "/graphql/", {"Content-Type": OLD, "Accept": NEW}, wrong)
    old = wire("POST", "/graphql/", {"Content-Type": OLD, "Accept": OLD}, wrong)
    assert (new.status, old.status) == (422, 200)
    record("http_new.http", shown(new))
    record("http_old.http", shown(old))


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        (None, 200, OLD),
        ("*/*", 200, OLD),
        (OLD, 200, OLD),
        (NEW, 422, NEW),
        (f"{NEW}, {OLD};q=0.9", 422, NEW),
        (f"{OLD}, {NEW};q=0.5", 200, OLD),
        ("application/*", 200, OLD),
        (f"{NEW}; charset=utf-8, {OLD}; charset=utf-8", 422, NEW),
        (f"{OLD}; charset=utf-8", 200, OLD),
        ("text/html", 406, OLD),
    ],
)
def test_which_type_is_chosen(people: People, accept: str | None, status: int, kind: str) -> None:
    headers = {"accept": accept} if accept else {}
    answer = Client().post("/graphql/", posted("{ curses }"), content_type=OLD, headers=headers)
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (status, kind)
    assert "Accept" in answer["Vary"]


def test_an_old_client_keeps_its_200_and_its_null(people: People) -> None:
    for case in CASES[:5]:
        answer = Client().post("/graphql/", case.body, content_type=OLD, headers={"accept": OLD})
        assert answer.status_code == 200
        assert "data" in answer.json()


def test_null_in_the_url_is_as_good_as_nothing(people: People) -> None:
    asked = {"query": "{ __typename }", "variables": "null", "extensions": "null"}
    assert Client().get("/graphql/", asked).json() == {"data": {"__typename": "Query"}}


def test_a_mutation_by_get_changes_nothing(people: People) -> None:
    with queries() as sent:
        answer = Client().get("/graphql/", {"query": JOIN})
    assert answer.status_code == 405
    assert sent.statements == []


# Caches.


def by_hash(name: str, **variables: Any) -> str:
    """Return the URL of a known document."""
    known = {"persistedQuery": {"version": 1, "sha256Hash": digest(operation(name))}}
    url = f"/graphql/?extensions={quote(json.dumps(known, separators=(',', ':')), safe=':,')}"
    return url + (f"&variables={quote(json.dumps(variables))}" if variables else "")


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_known_document_can_be_kept(academy: None, wire: Wire, record: Recorder) -> None:
    first = wire("GET", by_hash("levels.graphql"), {"Accept": NEW})
    assert first.status == 200
    [etag] = first.headers("ETag")
    record("http_kept.http", shown(first))
    again = wire("GET", by_hash("levels.graphql"), {"Accept": NEW, "If-None-Match": etag})
    assert (again.status, again.body) == (304, "")
    record("http_not_modified.http", shown(again))
    other = wire("GET", by_hash("levels.graphql"), {"Accept": OLD})
    assert other.body == first.body
    assert other.headers("ETag") != [etag], "another representation"


def test_what_belongs_to_one_user_is_not_shared(people: People) -> None:
    token = bearer(people.ama)
    mine = Client().get(by_hash("my_enrollments.graphql"), headers=token)
    assert mine.json()["data"]["me"] == {"name": "Ama"}
    assert mine["Cache-Control"] == "private, no-cache"
    nobody = Client().get(by_hash("my_enrollments.graphql"))
    assert nobody["Cache-Control"] == "public, max-age=60"
    assert {"Accept", "Authorization", "Cookie"} <= set(nobody["Vary"].split(", "))
    assert nobody["ETag"] != mine["ETag"]
    anything = Client().get(by_hash("my_enrollments.graphql"), headers={"accept": "*/*"})
    assert anything.json() == nobody.json(), "and no page of an IDE"
    broken = Client().get("/graphql/", {"query": PARTIAL})
    assert broken["Cache-Control"] == "no-store"
    assert "ETag" not in broken.headers
    posted_ = Client().post("/graphql/", posted("{ __typename }"), content_type=OLD)
    assert "Cache-Control" not in posted_.headers


@pytest.mark.parametrize(("debug", "status", "kind"), [(True, 200, "text/html; charset=utf-8"), (False, 406, OLD)])
def test_the_ide_is_for_development(people: People, settings: Settings, debug: bool, status: int, kind: str) -> None:
    settings.DEBUG = debug
    page = Client().get("/graphql/", headers={"accept": "text/html"})
    assert (page.status_code, page["Content-Type"]) == (status, kind)


@pytest.mark.wrong("lab/graphql_api/http_samples.py:wrong_kept")
@pytest.mark.urls("lab.graphql_api.http_samples")
@pytest.mark.parametrize(("at", "told"), [("wrong", "Ama"), ("right", "Kofi")])
def test_a_cache_that_does_not_know_who_asks(people: People, at: str, told: str) -> None:
    def name(user: Any) -> str:
        client = Client()
        client.force_login(user)
        data = client.get(f"/{at}/", {"query": "{ me { name } }"}).json()["data"]
        return str(data["me"]["name"])

    assert name(people.ama) == "Ama"
    assert name(people.kofi) == told


@pytest.mark.wrong("lab/graphql_api/http_samples.py:wrong_kept")
@pytest.mark.databases("postgresql")
@pytest.mark.urls("lab.graphql_api.http_samples")
def test_the_shared_answer_as_the_page_shows_it(people: People, session: Callable[..., None]) -> None:
    def get(path: str, user: Any) -> Any:
        client = Client()
        client.force_login(user)
        return client.get(path, {"query": "{ me { name } }"}).json()

    session("http_shared.pycon", get=get, ama=people.ama, kofi=people.kofi)
