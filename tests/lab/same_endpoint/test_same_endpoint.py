"""The catalog in five ways: the same data, what each costs, and what each does without being told."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import ExitStack, closing
from functools import cache
from http.client import HTTPConnection
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.core.paginator import EmptyPage
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from graphql.language.parser import Parser

from lab.academy.models import Course
from lab.academy.seed import seed
from lab.same_endpoint import graph
from lab.same_endpoint.framework import CatalogViewSet
from scripts import services
from scripts.pages import ROOT
from tests.lab.serving import GUNICORN, UVICORN, serve
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.code import lines_of_code
from tests.recording.sql import Queries, queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings
    from time_machine import TimeMachineFixture

    from tests.recording.files import Recorder

pytestmark = pytest.mark.urls("lab.same_endpoint.urls")

QUERY = (ROOT / "lab/same_endpoint/catalog.graphql").read_text(encoding="utf-8")
NAMES = {
    "plain": "Django view",
    "asynchronous": "Async view",
    "cached": "Cached view",
    "framework": "DRF view set",
    "graphql": "GraphQL field",
}
THREE = ("plain", "framework", "graphql")


def ask(way: str, level: str = "", page: int | str = 1) -> Any:
    """Return the response of one way to the same question."""
    client = Client(raise_request_exception=False)
    if way != "graphql":
        return client.get(f"/{way}/", {key: value for key, value in (("level", level), ("page", page)) if value})
    variables: dict[str, Any] = {"offset": 20 * (int(page) - 1)} | ({"level": level.upper()} if level else {})
    return client.post("/graphql/", {"query": QUERY, "variables": variables}, content_type="application/json")


def data(way: str, body: Any) -> tuple[int, list[dict[str, Any]]]:
    """Return the number of all courses and those of the page, in the words of the plain view."""
    if way != "graphql":
        return body["count"], body["results"]
    found = body["data"]["catalog"]
    rows = [
        {
            "slug": row["slug"],
            "title": row["title"],
            "level": row["level"].lower(),
            "starts_on": row["startsOn"],
            "tags": [tag["name"] for tag in row["tags"]],
        }
        for row in found["results"]
    ]
    return found["totalCount"], rows


@pytest.mark.databases
@pytest.mark.parametrize("level", ["", "beginner", "advanced"])
@pytest.mark.parametrize("page", [1, 2])
def test_each_way_gives_the_same_data(db: None, level: str, page: int) -> None:
    seed(courses=80, learners=0)
    answers = [data(way, ask(way, level, page).json()) for way in NAMES]
    assert all(answer == answers[0] for answer in answers)
    published = Course.objects.filter(published=True, **({"level": level} if level else {}))
    assert answers[0][0] == published.count() > 20
    assert [row["slug"] for row in answers[0][1]] == [course.slug for course in published[20 * (page - 1) : 20 * page]]


def asked() -> tuple[dict[str, Any], dict[str, Queries]]:
    """Return how each way answers the same question, and what it sends to the database."""
    answers, sent = {}, {}
    ask("cached", "beginner")  # what follows is a hit
    for way in NAMES:
        with queries() as seen:
            answers[way] = ask(way, "beginner")
        sent[way] = seen
    return answers, sent


@pytest.mark.databases("postgresql")
def test_what_each_costs(db: None, record: Recorder) -> None:
    seed(courses=200, learners=0)
    answers, sent = asked()
    modules = ("plain", "asynchronous", "cached", "framework", "graph")
    packed = [json.dumps(answer.json(), separators=(",", ":")) for answer in answers.values()]
    rows = [
        ["What", *NAMES.values()],
        ["---", *["---:"] * 5],
        ["Lines of code", *(str(lines_of_code(f"lab/same_endpoint/{name}.py", "view")) for name in modules)],
        ["Queries", *(str(len(seen.statements)) for seen in sent.values())],
        ["Bytes of the answer", *(f"{len(answer.content):,}" for answer in answers.values())],
        ["the same without spaces", *(f"{len(text):,}" for text in packed)],
    ]
    record("same_endpoint.md", "\n".join("| " + " | ".join(row) + " |" for row in rows))
    assert rows[3][1:] == ["3", "3", "0", "3", "3"]


@pytest.mark.databases("postgresql")
def test_what_each_sends_to_the_database(academy: None, record: Recorder) -> None:
    _, sent = asked()
    plain, asynchronous, cached, framework, graphql = (seen.statements for seen in sent.values())
    assert plain == framework
    assert [each.replace("LIMIT 20", "LIMIT 3") for each in asynchronous] == plain
    assert cached == []
    record("same_endpoint.sql", sent["plain"].text)
    assert (graphql[0], graphql[2]) == (plain[0], plain[2])
    assert "description" in plain[1]
    assert "description" not in graphql[1]
    record("same_endpoint_columns.sql", sent["graphql"].text.split("\n\n")[2])


def test_the_graph_with_a_memory_answers_the_same(academy: None) -> None:
    for _ in range(2):
        answer = Client().post("/remembering/", {"query": QUERY}, content_type="application/json")
        assert answer.json() == ask("graphql").json()


def test_only_a_text_that_was_seen_before_is_remembered(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def parse(parser: Parser) -> Any:
        parsed.append(parser)
        return original(parser)

    original = Parser.parse_document
    monkeypatch.setattr(Parser, "parse_document", parse)
    text = "query Test($level: Level) { catalog(level: $level) { totalCount } }"
    written = [f"query Test {{ catalog(level: {level}) {{ totalCount }} }}" for level in ("BEGINNER", "ADVANCED")]
    with_variables = [{"query": text, "variables": {"level": level}} for level in ("BEGINNER", "ADVANCED")]
    for url, bodies, expected in (
        ("/graphql/", with_variables, 2),
        ("/remembering/", with_variables, 1),
        ("/remembering/", [{"query": each} for each in written], 2),
    ):
        parsed.clear()
        for body in bodies:
            assert "errors" not in Client().post(url, body, content_type="application/json").json()
        assert len(parsed) == expected


@pytest.mark.databases
def test_the_number_of_queries_does_not_grow(db: None) -> None:
    seed(courses=80, learners=0)
    for way in NAMES:
        with queries() as sent:
            ask(way)
        assert len(sent.statements) == 3
    with queries() as sent:
        ask("cached")
    assert sent.statements == []


def test_what_each_says_to_a_wrong_question(academy: None, record: Recorder) -> None:
    questions = {"a level that is none": ("expert", 1), "page 0": ("", 0), "a page behind the last": ("", 99)}
    rows = [["Request", *(NAMES[way] for way in THREE)], ["---"] * 4]
    for name, (level, page) in questions.items():
        cells = []
        for way in ("asynchronous", "cached"):
            answers = ask(way, level, str(page)), ask("plain", level, str(page))
            assert answers[0].status_code == answers[1].status_code
            assert answers[0].content == answers[1].content
        for way in THREE:
            answer = ask(way, level, str(page))
            if answer["Content-Type"] == "application/problem+json":
                kind = "a problem"
            elif answer["Content-Type"] == "application/json":
                kind = "`errors`" if "errors" in answer.json() else "an empty list"
            else:
                kind = "HTML"
            cells.append(f"{answer.status_code}, {kind}")
        rows.append([name, *cells])
    record("same_endpoint_refusals.md", "\n".join("| " + " | ".join(row) + " |" for row in rows))
    assert rows[2][1:] == ["400, `errors`", "400, a problem", "200, `errors`"]
    assert rows[4][1:] == ["404, HTML", "404, a problem", "200, an empty list"]


def test_what_each_does_without_being_told(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    assert {client.post(f"/{way}/").status_code for way in NAMES if way != "graphql"} == {405}
    assert client.options("/framework/").json()["name"] == "Catalog List"
    assert [ask(way).headers.get("Cache-Control") for way in NAMES] == [None, None, "max-age=60", None, None]
    assert [ask(way).headers.get("ETag") for way in NAMES] == [None] * 5
    assert {client.head(f"/{way}/").status_code for way in ("plain", "asynchronous", "cached")} == {200}
    assert client.put("/graphql/").status_code == 405
    assert client.get("/graphql/", {"query": "{ catalog { totalCount } }"}).json()["data"] == {
        "catalog": {"totalCount": 9}
    }
    monkeypatch.setattr(CatalogViewSet, "versioning_class", None)  # the chapter's URLs have no namespace
    generator: Any = SchemaGenerator
    paths = generator(patterns=router_patterns()).get_schema(public=True)["paths"]
    parameters = {each["name"] for each in paths["/framework/"]["get"]["parameters"]}
    assert parameters == {"level", "page", "page_size"}
    assert "catalog(level: Level = null" in " ".join(graph.schema.as_str().split())


def router_patterns() -> list[Any]:
    """Return the routes of the view set."""
    from lab.same_endpoint.urls import router

    return router.urls


@pytest.mark.slow
def test_the_rate_is_limited_in_one_way_only(academy: None, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to("2026-11-23T12:00:00Z", tick=False)
    statuses = {way: [ask(way).status_code for _ in range(121)] for way in NAMES}
    assert [way for way, seen in statuses.items() if 429 in seen] == ["framework"]
    assert statuses["framework"].count(200) == 120
    assert "Retry-After" in ask("framework").headers


def test_how_many_rows_a_client_may_ask_for(db: None) -> None:
    seed(courses=200, learners=0)
    client = Client()
    assert len(client.get("/plain/", {"page_size": 1000}).json()["results"]) == 20
    assert len(client.get("/framework/", {"page_size": 1000}).json()["results"]) == 100
    for limit in ("", "(pagination: {limit: 1000})"):
        body = {"query": f"{{ catalog{limit} {{ results {{ slug }} }} }}"}
        answer = client.post("/graphql/", body, content_type="application/json")
        assert len(answer.json()["data"]["catalog"]["results"]) == 100


def test_without_fetching_the_tags_in_advance(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(courses=80, learners=0)
    monkeypatch.setattr(CatalogViewSet, "queryset", Course.objects.filter(published=True))
    monkeypatch.setattr(graph.schema, "extensions", [])
    for way in ("framework", "graphql"):
        with queries() as sent:
            assert len(data(way, ask(way).json())[1]) == 20
        assert len(sent.statements) == 2 + 20


def test_deny_by_default(academy: None, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.LOGIN_URL = "/login/"
    monkeypatch.delattr("lab.same_endpoint.framework.CatalogViewSet.permission_classes")
    assert ask("framework").status_code == 401
    for way in ("plain", "asynchronous", "cached"):
        monkeypatch.setattr(f"lab.same_endpoint.{way}.catalog.login_required", True)
        assert ask(way).status_code == 302


def test_the_kept_answer_is_old_for_a_minute(academy: None, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to("2026-11-23T12:00:00Z", tick=False)
    before = ask("cached").json()
    Course.objects.filter(slug="databases").update(published=False)
    time_machine.shift(59)
    assert ask("cached").json() == before
    assert ask("plain").json()["count"] == before["count"] - 1
    assert ask("cached", page="1").content == Client().get("/cached/", {"page": 1}).content
    with queries() as sent:
        Client().get("/cached/?page=1&unknown=parameter")
    assert len(sent.statements) == 3, "another URL is another entry"
    time_machine.shift(2)
    assert ask("cached").json() == ask("plain").json()


@pytest.mark.wrong("lab/same_endpoint/plain.py:wrong_catalog")
def test_a_view_that_trusts_its_parameters(academy: None, rf: Any) -> None:
    from lab.same_endpoint.plain import wrong_catalog

    assert len(json.loads(wrong_catalog(rf.get("/")).content)["results"]) == 9
    assert json.loads(wrong_catalog(rf.get("/", {"level": "expert"})).content) == {"results": []}
    with pytest.raises(ValueError, match="invalid literal for int"):
        wrong_catalog(rf.get("/", {"page": "two"}))
    with pytest.raises(EmptyPage):
        wrong_catalog(rf.get("/", {"page": "0"}))
    for question in ({"level": "expert"}, {"page": "two"}, {"page": "0"}):
        assert Client().get("/plain/", question).status_code == 400


@cache
def measure() -> dict[str, list[tuple[float, float]]]:
    """Return the median time of many requests for each way by the number of courses; the ways take turns."""
    seed(courses=200, learners=0)
    sizes = {"beginner": 1, "intermediate": 10, "advanced": 20}
    for level, rows in sizes.items():
        courses = Course.objects.filter(level=level)
        courses.exclude(pk__in=list(courses.values_list("pk", flat=True)[:rows])).update(published=False)
        courses.filter(pk__in=list(courses.values_list("pk", flat=True)[:rows])).update(published=True)
    requests: dict[tuple[str, int], tuple[str, str, str, str | None]] = {}
    for level, rows in sizes.items():
        body = json.dumps({"query": QUERY, "variables": {"level": level.upper()}})
        requests["GraphQL field", rows] = ("gunicorn", "POST", "/graphql/", body)
        requests["GraphQL field, query remembered", rows] = ("gunicorn", "POST", "/remembering/", body)
        requests["DRF view set", rows] = ("gunicorn", "GET", f"/framework/?level={level}", None)
        requests["Async view, Uvicorn", rows] = ("Uvicorn", "GET", f"/asynchronous/?level={level}", None)
        requests["Django view, Uvicorn", rows] = ("Uvicorn", "GET", f"/plain/?level={level}", None)
        requests["Django view", rows] = ("gunicorn", "GET", f"/plain/?level={level}", None)
        requests["Cached view", rows] = ("gunicorn", "GET", f"/cached/?level={level}", None)
    times: dict[tuple[str, int], list[float]] = {name: [] for name in requests}
    names = list(requests)
    shared = {
        "urls": "lab.same_endpoint.urls",
        "CACHE_URL": f"{services.url('valkey')}?key_prefix={secrets.token_hex(8)}",
    }
    with ExitStack() as stack:
        clients = {}
        for server, command in {
            "gunicorn": serve(*GUNICORN, "--worker-class", "gthread", "--threads", "1", **shared),
            "Uvicorn": serve(*UVICORN, SERVED_POOL="2", **shared),
        }.items():
            address = urlsplit(stack.enter_context(command)).netloc
            clients[server] = stack.enter_context(closing(HTTPConnection(address)))
        for turn in range(440):
            first = turn % len(names)
            for name in names[first:] + names[:first]:  # none is always the first
                server, method, path, content = requests[name]
                start = time.perf_counter()
                clients[server].request(method, path, content, {"Content-Type": "application/json"} if content else {})
                answer = clients[server].getresponse()
                answer.read()
                taken = 1000 * (time.perf_counter() - start)
                assert answer.status == 200
                if turn >= 40:
                    times[name].append(taken)
    lines: dict[str, list[tuple[float, float]]] = {}
    for (way, rows), all_of_it in times.items():
        lines.setdefault(way, []).append((rows, round(median(all_of_it), 2)))
    return lines


def series(title: str, description: str, *ways: str, packages: tuple[str, ...]) -> Measurement:
    """Return the measured lines of these ways."""
    return Measurement(
        title=title,
        description=description,
        x="courses in the answer",
        y="median of 400 requests (ms)",
        versions={
            **{name: version(versions.PACKAGES[name]) for name in packages},
            "PostgreSQL": versions.server().removeprefix("PostgreSQL "),
        },
        lines={way: measure()[way] for way in ways},
    )


@pytest.mark.measures("same_endpoint_time")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_time_of_a_request(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    frameworks = measured(
        "same_endpoint_time.json",
        lambda: series(
            "Time of a request for a page of the catalog",
            "The GraphQL field takes the longest and grows the fastest with the number of courses.",
            "GraphQL field",
            "GraphQL field, query remembered",
            "DRF view set",
            "Django view",
            packages=("Django", "Django REST framework", "Strawberry", "gunicorn"),
        ),
    )
    lines = {name: dict(points) for name, points in frameworks.lines.items()}
    at_20 = [line[20] for line in lines.values()]
    assert at_20 == sorted(at_20, reverse=True), "the graph, with a memory, the framework, the view"
    graph, _, framework, plain = lines.values()
    assert graph[20] - graph[1] > framework[20] - framework[1], "per course"
    assert graph[20] - graph[1] > plain[20] - plain[1], "per course"
    assert graph[1] - framework[1] > (graph[20] - framework[20]) / 2, "most of the difference is there with one course"
    variations = measured(
        "same_endpoint_time_kept.json",
        lambda: series(
            "Time of a request for the async and the cached view",
            "Both views under Uvicorn take the longest; the cached one a fraction, whatever the number of courses.",
            "Async view, Uvicorn",
            "Django view, Uvicorn",
            "Django view",
            "Cached view",
            packages=("Django", "gunicorn", "Uvicorn"),
        ),
    )
    alone, uvicorn, plain, cached = (dict(points) for points in variations.lines.values())
    for rows in (1, 10, 20):
        assert cached[rows] < plain[rows] / 1.5
        assert 1.3 * plain[rows] < min(uvicorn[rows], alone[rows])
        assert 1 / 1.3 < alone[rows] / uvicorn[rows] < 1.3, "about as long"
    assert max(cached.values()) < 1.3 * min(cached.values()), "the number of courses does not matter"
