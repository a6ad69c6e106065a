"""What each kind of test sees, and what it passes by."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache
from django.db.models.functions import Now
from rest_framework.test import APIClient, APIRequestFactory, RequestsClient
from rest_framework_simplejwt.tokens import AccessToken

from lab.academy.models import Course, Tag
from lab.rest_apis.testing import BrokenView, Catalog
from tests.lab.people import PASSWORD, bearer
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from time_machine import TimeMachineFixture

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]

SAMPLES = pytest.mark.urls("lab.rest_apis.testing")
MINE = "/api/v1/enrollments/"
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


# A table


# --8<-- [start:table]
MAY_ADD = {"nobody": 401, "Ama": 403, "the teacher": 201}


@pytest.mark.databases
@pytest.mark.parametrize(("actor", "status"), MAY_ADD.items())
def test_who_may_add_a_course(people: People, actor: str, status: int) -> None:
    users = {"Ama": people.ama, "the teacher": people.teacher}
    body = {"slug": "go", "title": "Go", "starts_on": "2026-01-05", "ends_on": "2026-02-01"}
    before = Course.objects.count()
    answer = people.client(users.get(actor)).post("/api/v1/courses/", body)
    assert answer.status_code == status, answer.content
    assert Course.objects.count() - before == (status == 201)


# --8<-- [end:table]


# Four ways to ask


@SAMPLES
@pytest.mark.django_db(transaction=True)
def test_what_each_way_to_ask_goes_through(academy: None, wire: Callable[..., Exchange], record: Recorder) -> None:
    factory, client, requests = APIRequestFactory(), APIClient(), RequestsClient()
    client.raise_request_exception = False

    def by_factory(path: str) -> Any:
        view = {"/broken/": BrokenView}.get(path, Catalog).as_view()
        return view(factory.get(path)).render()

    def bug(ask: Callable[[], Any]) -> str:
        try:
            answer = ask()
        except ZeroDivisionError as error:
            return type(error).__name__
        return str(getattr(answer, "status_code", getattr(answer, "status", None)))

    rows = {
        "`APIRequestFactory`": (
            by_factory("/no/such/path/").status_code,
            "X-Frame-Options" in by_factory("/catalog/").headers,
            bug(lambda: by_factory("/broken/")),
            False,
        ),
        "`APIClient`": (
            client.get("/no/such/path/").status_code,
            "X-Frame-Options" in client.get("/catalog/").headers,
            bug(lambda: APIClient().get("/broken/")),
            False,
        ),
        "`RequestsClient`": (
            requests.get("http://testserver/no/such/path/").status_code,
            "X-Frame-Options" in requests.get("http://testserver/catalog/").headers,
            bug(lambda: requests.get("http://testserver/broken/")),
            False,
        ),
        "a live server": (
            wire("GET", "/no/such/path/").status,
            bool(wire("GET", "/catalog/").headers("X-Frame-Options")),
            bug(lambda: wire("GET", "/broken/")),
            bool(wire("GET", "/catalog/").headers("Server")),
        ),
    }
    assert client.get("/broken/").status_code == 500
    assert [row[0] for row in rows.values()] == [200, 404, 404, 404]
    lines = ["| Way | a path without a route | middleware | a bug | a socket |", "| --- | --- | --- | --- | --- |"]
    for name, row in rows.items():
        cells = [("yes" if cell else "no") if isinstance(cell, bool) else str(cell) for cell in row]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    record("testing_ways.md", "\n".join(lines))


# Who asks


@SAMPLES
@pytest.mark.wrong("lab/rest_apis/testing.py:wrong_authentication")
def test_forced_authentication_does_not_ask_the_view(people: People) -> None:
    token = bearer(people.ama)
    assert people.client(people.ama).get("/mine/").status_code == 200
    assert APIClient().get("/mine/", headers=token).status_code == 403
    assert APIClient().get(MINE, headers=token).status_code == 404, "this urlconf has only the samples"


@SAMPLES
@pytest.mark.databases("postgresql")
def test_the_recorded_difference(people: People, session: Session) -> None:
    session("testing_force.pycon", client=APIClient(), ama=people.ama, token=AccessToken.for_user(people.ama))


@pytest.mark.databases("postgresql")
def test_what_force_authenticate_skips(people: People, session: Session, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON)
    real = APIClient()
    answer = real.post("/api/v1/token/", {"email": "ama@example.com", "password": PASSWORD})
    real.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
    browser, strict = APIClient(), APIClient(enforce_csrf_checks=True)
    for client in (browser, strict):
        assert client.login(email="ama@example.com", password=PASSWORD)
    session(
        "testing_credentials.pycon",
        forced=people.client(people.ama),
        real=real,
        browser=browser,
        strict=strict,
        ama=people.ama,
        MINE=MINE,
    )


# What comes back


@SAMPLES
@pytest.mark.databases("postgresql")
def test_data_is_not_what_the_client_gets(academy: None, session: Session) -> None:
    session("testing_data.pycon", client=APIClient())


# A test that cannot fail


# --8<-- [start:wrong_drafts]
def no_drafts(client: APIClient, path: str) -> None:
    """The catalog has no drafts."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert all(course["published"] for course in answer.json()["results"])


# --8<-- [end:wrong_drafts]


# --8<-- [start:drafts]
def only_published(client: APIClient, path: str) -> None:
    """The catalog has the published course, and not the draft."""
    days = {"starts_on": NOON.date(), "ends_on": NOON.date()}
    Course.objects.create(slug="go", title="Go", published=True, **days)
    Course.objects.create(slug="rust", title="Rust", published=False, **days)
    answer = client.get(path)
    assert [course["slug"] for course in answer.json()["results"]] == ["go"]


# --8<-- [end:drafts]


@SAMPLES
@pytest.mark.databases
@pytest.mark.wrong("tests/lab/rest_apis/test_testing.py:wrong_drafts")
@pytest.mark.wrong("lab/rest_apis/testing.py:wrong_catalog")
def test_a_test_without_data_cannot_fail(db: None) -> None:
    no_drafts(APIClient(), "/catalog/")
    no_drafts(APIClient(), "/leaking/")
    only_published(APIClient(), "/catalog/")
    Course.objects.all().delete()
    with pytest.raises(AssertionError, match="rust"):
        only_published(APIClient(), "/leaking/")


# Queries, time, counts


# --8<-- [start:queries]
def queries_for(number: int, path: str) -> int:
    """Return how many queries a page with this many courses takes."""
    for n in range(Course.objects.count(), number):
        course = Course.objects.create(
            slug=f"course-{n}", title=f"Course {n}", published=True,
            starts_on=NOON.date(), ends_on=NOON.date(),
        )  # fmt: skip
        course.tags.add(Tag.objects.get_or_create(name="web")[0])
    with queries() as sent:
        assert len(APIClient().get(path).json()["results"]) == number
    return len(sent.statements)


@pytest.mark.databases
def test_a_longer_page_takes_no_more_queries(db: None) -> None:
    assert queries_for(2, "/api/v1/courses/") == queries_for(20, "/api/v1/courses/")


# --8<-- [end:queries]


@SAMPLES
@pytest.mark.databases
@pytest.mark.wrong("lab/rest_apis/testing.py:wrong_queries")
def test_the_count_finds_a_query_for_each_row(db: None) -> None:
    assert (queries_for(2, "/chatty/"), queries_for(20, "/chatty/")) == (4, 22)


# --8<-- [start:time]
@pytest.mark.databases
def test_an_access_token_ends_after_five_minutes(people: People, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON, tick=False)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(people.ama)}")
    time_machine.shift(datetime.timedelta(minutes=4, seconds=59))
    assert client.get(MINE).status_code == 200
    time_machine.shift(datetime.timedelta(seconds=2))
    assert client.get(MINE).status_code == 401


# --8<-- [end:time]


@pytest.mark.databases
def test_the_clock_of_the_database_is_not_moved(academy: None, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC))
    assert Course.objects.annotate(now=Now()).values_list("now", flat=True)[0].year > 2020


@pytest.mark.urls("lab.rest_apis.throttling_samples")
def test_counts_outlive_a_test(session: Session, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON, tick=False)
    session("testing_counts.pycon", APIClient=APIClient, cache=cache)
