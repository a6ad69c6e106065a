"""The URLs that routers make, and two versions of the API side by side."""

from __future__ import annotations

import datetime
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import django
import pytest
from django.urls import ResolverMatch, reverse
from django.utils.http import parse_http_date
from rest_framework import permissions, viewsets
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIRequestFactory
from rest_framework.versioning import URLPathVersioning

from lab.academy.models import Course, Tag
from lab.rest_apis import routing, urls
from lab.rest_apis.routing import DEPRECATED, SUNSET, default, simple
from lab.rest_apis.views import CourseViewSet
from tests.lab.rest_apis.wire import sender, stable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from django.urls import URLPattern, URLResolver
    from pytest_django import Settings
    from pytest_django.live_server_helper import LiveServer

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Wire = Callable[..., Exchange]

own_urls = pytest.mark.urls("lab.rest_apis.routing")
DAYS = {"starts_on": "2027-01-04", "ends_on": "2027-02-01"}
SEWING = {"slug": "sewing", "title": "Sewing", **DAYS}


def routes(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the methods and the pattern of each route of a router."""
    for pattern in patterns:
        view: Any = pattern.callback
        methods = " ".join(name.upper() for name in view.actions if name != "head")
        yield getattr(pattern, "name", ""), methods, str(pattern.pattern)


def table(rows: list[tuple[str, str, str]]) -> str:
    """Return rows as text in columns."""
    first, second = (max(len(row[at]) for row in rows) for at in (0, 1))
    return "\n".join(f"{name:{first}}  {methods:{second}}  {pattern}".rstrip() for name, methods, pattern in rows)


def test_the_urls_of_the_api(record: Recorder) -> None:
    found = [*routes(urls.router.urls), *routes(urls.lessons.urls)]
    wanted = ("course", "enrollment", "lesson")
    record("routing_routes.txt", table([row for row in found if row[0].split("-")[0] in wanted]))
    assert reverse("v1:course-list") == "/api/v1/courses/"
    assert reverse("v1:course-publish", args=["python"]) == "/api/v1/courses/python/publish/"
    assert reverse("v1:lesson-detail", args=["python", 1]) == "/api/v1/courses/python/lessons/1/"
    assert reverse("v1:enrollment-detail", args=[1]) == "/api/v1/enrollments/1/"


def test_without_a_queryset_the_router_needs_a_name(session: Session) -> None:
    session("routing_basename.pycon", SimpleRouter=SimpleRouter, CourseViewSet=CourseViewSet)


def test_with_a_queryset_the_name_is_that_of_the_model() -> None:
    assert [name for name, *_ in routes(routing.tags.urls)] == ["tag-list", "tag-detail"]


@own_urls
@pytest.mark.databases("postgresql")
def test_the_default_router_has_a_root(people: People, session: Session) -> None:
    session("routing_root.pycon", client=people.client(people.kofi), simple=simple, default=default)
    assert people.client().get("/root/").status_code == 401
    assert people.client().get("/root/courses.json").json() == people.client().get("/actions/courses/").json()


@own_urls
def test_its_suffixes_are_an_argument_that_an_action_must_take(people: People) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'format'"):
        people.client().get("/root/courses/levels.json")


@own_urls
def test_the_urls_of_extra_actions(record: Recorder) -> None:
    rows = [row for row in routes(simple.urls) if row[0] not in {"course-list", "course-detail"}]
    record("routing_actions.txt", table(rows))


@own_urls
@pytest.mark.databases
def test_extra_actions_answer(people: People) -> None:
    visitor = people.client()
    left = people.python.seats - people.python.enrollments.count()
    assert visitor.get("/actions/courses/python/seats/free/").json() == {"free": left}
    assert visitor.get("/actions/courses/levels/").json() == ["advanced", "beginner", "intermediate"]
    assert visitor.post("/actions/courses/levels/").status_code == 405
    # The route of the action stands before that of a single course, and hides one of that name.
    Course.objects.create(slug="levels", title="Levels", published=True, **DAYS)
    assert visitor.get("/actions/courses/levels/").json() == ["advanced", "beginner", "intermediate"]
    Course.objects.filter(slug="python").update(published=False)
    assert visitor.get("/actions/courses/python/seats/free/").status_code == 404


@own_urls
@pytest.mark.wrong("lab/rest_apis/routing.py:wrong_action")
@pytest.mark.databases("postgresql")
def test_permissions_of_an_action_take_the_place_of_the_others(people: People, session: Session) -> None:
    session("routing_action.pycon", kofi=people.client(people.kofi), visitor=people.client())


@own_urls
@pytest.mark.databases("postgresql")
def test_an_action_has_the_permissions_of_its_view_set(people: People, session: Session) -> None:
    teacher, kofi = people.client(people.teacher), people.client(people.kofi)
    session("routing_action_mended.pycon", kofi=kofi, teacher=teacher)


@own_urls
@pytest.mark.databases
def test_who_may_withdraw_a_course(people: People) -> None:
    found = {}
    for name in ("kofi", "registrar", "teacher"):
        client = people.client(getattr(people, name))
        for kind in ("actions", "wrong"):
            Course.objects.filter(pk=people.python.pk).update(published=True)
            found[name, kind] = client.post(f"/{kind}/courses/python/withdraw/").status_code
    assert {who for who, status in found.items() if status == 200} == {
        ("teacher", "actions"), ("teacher", "wrong"), ("kofi", "wrong"), ("registrar", "wrong")
    }  # fmt: skip
    assert people.client().post("/wrong/courses/python/withdraw/").status_code == 401


@own_urls
@pytest.mark.wrong("lab/rest_apis/routing.py:wrong_lookup")
@pytest.mark.databases("postgresql")
def test_a_dot_ends_what_a_router_looks_up(people: People, session: Session) -> None:
    session("routing_lookup.pycon", client=people.client(people.teacher), Tag=Tag)


def test_a_lookup_that_is_not_unique_is_an_error(people: People) -> None:
    class ByLevel(viewsets.ReadOnlyModelViewSet):
        queryset = Course.objects.all()
        lookup_field = "level"
        permission_classes = (permissions.AllowAny,)

    with pytest.raises(Course.MultipleObjectsReturned):
        ByLevel.as_view({"get": "retrieve"})(APIRequestFactory().get("/"), level="beginner")


@pytest.mark.databases
def test_lessons_are_those_of_the_course_in_the_url(people: People) -> None:
    client = people.client(people.teacher)
    paths = ["/api/v1/courses/python/lessons/1/", "/api/v1/courses/django/lessons/1/"]
    titles = [client.get(path).json()["title"] for path in paths]
    assert titles == [
        course.lessons.get(position=1).title for course in (people.python, Course.objects.get(slug="django"))
    ]
    assert client.patch(paths[0], {"title": "Other"}).status_code == 200
    assert client.get(paths[1]).json()["title"] == titles[1]
    assert client.get("/api/v1/courses/nothing/lessons/").status_code == 404
    assert client.get("/api/v1/courses/python/lessons/999/").status_code == 404


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_post_without_its_slash_is_redirected(people: People, wire: Wire, record: Recorder) -> None:
    headers = sender(people.teacher)
    text = stable(wire("POST", "/api/v1/courses", headers, json.dumps(SEWING)).text)
    if django.VERSION >= (6, 0):  # later releases count the empty body
        text = re.sub(r"(?m)^Content-Length: 0\n", "", text)
    record("routing_slash.http", text)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_client_that_follows_gets_a_list_and_loses_its_data(
    people: People, live_server: LiveServer, session: Session
) -> None:
    headers = sender(people.teacher)
    names: dict[str, Any] = {"Request": Request, "urlopen": urlopen, "json": json, "Course": Course}
    session("routing_slash.pycon", server=live_server.url, data=json.dumps(SEWING).encode(), headers=headers, **names)
    # With its slash the same request adds the course.
    request = Request(live_server.url + "/api/v1/courses/", json.dumps(SEWING).encode(), headers, method="POST")  # noqa: S310
    with urlopen(request) as response:  # noqa: S310  (our own server)
        assert response.status == 201
    assert Course.objects.filter(slug="sewing").exists()


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_in_development_it_is_an_error_and_without_the_setting_a_404(
    people: People, settings: Settings, method: str
) -> None:
    client = people.client(people.teacher)
    path = "/api/v1/courses" if method == "post" else "/api/v1/courses/python"
    assert getattr(client, method)(path, SEWING).status_code == 301
    settings.DEBUG = True
    with pytest.raises(RuntimeError, match=f"You called this URL via {method.upper()}, but the URL doesn't end in a"):
        getattr(client, method)(path, SEWING)
    settings.APPEND_SLASH = False
    assert getattr(client, method)(path, SEWING).status_code == 404
    assert Course.objects.filter(slug="python", title="Python").exists()


def test_a_router_can_leave_the_slash_out() -> None:
    router = SimpleRouter(trailing_slash=False)
    router.register("tags", routing.Tags)
    assert [pattern for _, _, pattern in routes(router.urls)] == ["^tags$", "^tags/(?P<name>[^/]+)$"]


@own_urls
@pytest.mark.databases("postgresql")
def test_two_versions_differ_in_one_field(people: People, session: Session) -> None:
    session("routing_versions.pycon", client=people.client())


@own_urls
@pytest.mark.databases
def test_both_versions_write_the_same_column(people: People) -> None:
    client = people.client(people.teacher)
    assert client.post("/api/v1/courses/", {**SEWING, "seats": 12}).json()["seats"] == 12
    assert client.get("/api/v2/courses/sewing/").json()["capacity"] == 12
    assert client.patch("/api/v2/courses/sewing/", {"capacity": 14}).json()["capacity"] == 14
    assert client.get("/api/v1/courses/sewing/").json()["seats"] == 14
    # Without v2's name for it the request is refused.
    refused = client.post("/api/v2/courses/", {**SEWING, "slug": "more", "seats": 12})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "#/capacity"


@own_urls
def test_an_optional_new_name_would_lose_what_old_clients_send(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing.SecondCourseSerializer._declared_fields["capacity"], "_kwargs", {
        "source": "seats", "required": False
    })  # fmt: skip
    created = people.client(people.teacher).post("/api/v2/courses/", {**SEWING, "seats": 12})
    assert created.status_code == 201
    assert created.json()["capacity"] == 30  # the default of the column


@own_urls
@pytest.mark.databases("postgresql")
def test_the_first_version_says_when_it_ends(people: People, session: Session) -> None:
    session("routing_sunset.pycon", client=people.client())


@own_urls
def test_the_headers_are_what_their_rfcs_ask_for(people: People) -> None:
    response = people.client().get("/api/v1/courses/")
    assert re.fullmatch(r"@\d+", response["Deprecation"])  # a date of structured fields, RFC 9651
    assert int(response["Deprecation"][1:]) == DEPRECATED.timestamp()
    assert datetime.datetime.fromtimestamp(parse_http_date(response["Sunset"]), datetime.UTC) == SUNSET
    assert SUNSET >= DEPRECATED
    assert people.client().post("/api/v1/courses/", {}).has_header("Sunset")
    for path in ("/api/v2/courses/", "/api/v9/courses/"):
        assert not people.client().get(path).has_header("Sunset")


@own_urls
def test_the_schemes(people: People, record: Recorder) -> None:
    client = people.client()

    def ask(path: str, accept: str = "application/json") -> str:
        response = client.get(path, headers={"accept": accept})
        return f"`{response.json()['version']}`" if response.status_code == 200 else str(response.status_code)

    rows = [
        ("`URLPathVersioning`", "`/in-path/v2/`", ask("/in-path/v2/"), ask("/in-path/v9/"), "—"),
        (
            "`AcceptHeaderVersioning`",
            "`Accept: application/json; version=v2`",
            ask("/in-accept/", "application/json; version=v2"),
            ask("/in-accept/", "application/json; version=v9"),
            ask("/in-accept/"),
        ),
        (
            "`QueryParameterVersioning`",
            "`/in-query/?version=v2`",
            ask("/in-query/?version=v2"),
            ask("/in-query/?version=v9"),
            ask("/in-query/"),
        ),
    ]
    assert [row[2:] for row in rows] == [("`v2`", "404", "—"), ("`v2`", "406", "`v1`"), ("`v2`", "404", "`v1`")]
    head = ["| Scheme | Request | `request.version` | v9 | None named |", "| --- | --- | --- | --- | --- |"]
    record("routing_schemes.md", "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)]))


@own_urls
def test_an_answer_that_depends_on_accept_does_not_say_so(people: People) -> None:
    """DRF adds Accept to Vary where there are several renderers, not where the version is read from it."""
    response = people.client().get("/in-accept/", headers={"accept": "application/json; version=v2"})
    assert response.json() == {"version": "v2"}
    assert "accept" not in response.get("Vary", "").lower()


def test_without_a_list_of_versions_every_namespace_is_one(people: People) -> None:
    versions = []

    class Watched(CourseViewSet):
        def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
            super().initial(request, *args, **kwargs)
            versions.append(request.version)

    for namespace in ("v1", "anything"):
        request = APIRequestFactory().get("/")
        request.resolver_match = ResolverMatch(lambda: None, (), {}, namespaces=[namespace])
        Watched.as_view({"get": "list"})(request)
    assert versions == ["v1", "anything"]


def test_the_pattern_of_the_docstring_is_a_set_of_letters() -> None:
    assert "(?P<version>[v1|v2]+)" in (URLPathVersioning.__doc__ or "")
    assert re.fullmatch(r"(?P<version>[v1|v2]+)", "2||1vv")
