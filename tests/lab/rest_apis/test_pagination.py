"""Which rows a page holds, what it costs, and which rows it loses."""

from __future__ import annotations

import datetime
import time
from base64 import b64encode
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from lab.academy.models import Course
from lab.academy.seed import seed
from lab.rest_apis.pagination import Newest, Pages, Uncounted
from lab.rest_apis.pagination_samples import Catalog
from tests.lab.rest_apis.many import many_courses
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.plan import plan
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from pytest_django.live_server_helper import LiveServer
    from rest_framework.pagination import BasePagination

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]

pytestmark = pytest.mark.urls("lab.rest_apis.pagination_samples")

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
ROWS = 100_000
DAY = datetime.date(2026, 1, 5)


def slugs(path: str) -> list[str]:
    """Return what a page of the catalog names."""
    return [course["slug"] for course in APIClient().get(path).json()["results"]]


def cursor(text: str) -> str:
    """Return a cursor as DRF writes it."""
    return b64encode(text.encode()).decode()


def add_course(title: str) -> None:
    """Publish a course."""
    Course.objects.create(title=title, slug=title.lower(), published=True, starts_on=DAY, ends_on=DAY)


def withdraw(*names: str) -> None:
    """Take courses out of the catalog."""
    Course.objects.filter(slug__in=names).update(published=False)


# What goes over the wire, and to the database


@TOGETHER
@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    ("path", "recordings"),
    [
        ("/numbers/?page=2&page_size=2", ("pagination_numbers.sql", "pagination_numbers.http")),
        ("/offsets/?limit=2&offset=2", None),  # as page numbers, but for the words in the links
        (f"/cursors/?page_size=2&cursor={cursor('p=8')}", ("pagination_cursors.sql", "pagination_cursors.http")),
    ],
)
def test_what_each_way_sends_and_answers(
    academy: None,
    record: Recorder,
    wire: Callable[..., Exchange],
    live_server: LiveServer,
    path: str,
    recordings: tuple[str, str] | None,
) -> None:
    with queries() as sent:
        assert slugs(path) == ["caching", "docker"]
    assert len(sent.statements) == 1 + ("cursors" not in path)
    answer = wire("GET", path, {"Accept": "application/json; indent=2"})
    assert answer.status == 200
    if recordings is None:
        assert f'"next": "{live_server.url}/offsets/?limit=2&offset=4"' in answer.body
        return
    sql, http = recordings
    record(sql, sent.text)
    record(http, answer.text.replace(live_server.url, "https://academy.example"))


@pytest.mark.databases
def test_every_way_shows_every_row_once_and_in_order(academy: None) -> None:
    expected = [course.slug for course in Course.objects.filter(published=True).order_by("-pk")]
    for start in ("/numbers/?page_size=2", "/offsets/?limit=2", "/cursors/?page_size=2", "/uncounted/?limit=2"):
        link, found, links = start, [], 0
        while link:
            page = APIClient().get(link).json()
            found += [course["slug"] for course in page["results"]]
            link, links = page["next"], links + 1
            last = page
        assert (found, links) == (expected, 5), start
        back = APIClient().get(last["previous"]).json()  # and backwards
        assert [course["slug"] for course in back["results"]] == expected[6:8], start


def test_what_no_page_has(academy: None) -> None:
    client = APIClient()
    for path in ("/numbers/?page=99", "/numbers/?page=two", "/cursors/?cursor=two"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json"), path
    assert client.get("/offsets/?offset=99").json()["results"] == []
    assert client.get("/numbers/?page_size=two").json() == client.get("/numbers/").json(), "a wrong size is ignored"
    assert len(slugs("/numbers/?page=last&page_size=4")) == 1


@pytest.mark.databases
def test_a_cursor_that_nobody_was_given_is_not_found(academy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """DRF decodes it and hands the text to the database's field."""
    client = APIClient(raise_request_exception=False)
    path = f"/cursors/?cursor={cursor('p=two')}"
    assert client.get(path).status_code == 404
    monkeypatch.setattr(Newest, "paginate_queryset", CursorPagination.paginate_queryset)
    assert client.get(path).status_code == 500


# How much one request may take


@pytest.mark.wrong("lab/rest_apis/pagination.py:wrong_offsets")
@pytest.mark.databases
def test_a_limit_without_a_limit_reads_the_whole_table(db: None, record: Recorder, database: str) -> None:
    seed(courses=300, learners=0)
    with queries() as sent:
        assert len(slugs("/no-limit/?limit=1000000000")) == 270
    assert "LIMIT 1000000000" in sent.statements[1]
    assert len(slugs("/offsets/?limit=1000000000")) == 100
    with queries() as sent:
        assert len(slugs("/numbers/?page_size=1000000000")) == 100
    assert "LIMIT 100" in sent.statements[1]


@pytest.mark.urls("lab.urls")
def test_the_api_has_pages_of_twenty_and_at_most_a_hundred(db: None) -> None:
    seed(courses=300, learners=0)
    assert len(slugs("/api/v1/courses/")) == 20
    assert len(slugs("/api/v1/courses/?page_size=1000")) == 100
    with queries() as sent:
        slugs("/api/v1/courses/")
    assert 'ORDER BY "academy_course"."title" ASC, "academy_course"."id" ASC' in sent.statements[1], "without ties"


def test_a_class_without_a_size_does_not_page(db: None) -> None:
    seed(courses=300, learners=0)
    view = Catalog.as_view(pagination_class=PageNumberPagination)
    assert len(view(APIRequestFactory().get("/?page=2")).data) == 270, "a list, and all of it"


# Rows that come and go while a client reads


@pytest.mark.databases("postgresql")
def test_the_record_of_rows_that_come_and_go(academy: None, session: Session) -> None:
    for name in ("pagination_shift_offset.pycon", "pagination_shift_cursor.pycon"):
        session(name, client=APIClient(), add_course=add_course, withdraw=withdraw)
        Course.objects.filter(slug="backups").delete()
        Course.objects.filter(slug="security").update(published=True)


@pytest.mark.databases
@pytest.mark.parametrize("start", ["/offsets/?limit=3", "/numbers/?page_size=3", "/cursors/?page_size=3"])
def test_offsets_repeat_and_skip_rows_and_cursors_do_not(academy: None, start: str) -> None:
    expected = [course.slug for course in Course.objects.filter(published=True).order_by("-pk")]
    first = APIClient().get(start).json()
    add_course("Backups")
    second = slugs(first["next"])
    assert second == (expected[3:6] if "cursors" in start else expected[2:5])
    withdraw("backups", *expected[:2])  # one more than came
    third = slugs(APIClient().get(first["next"]).json()["next"])
    assert third == (expected[6:9] if "cursors" in start else expected[8:]), "offsets skip two"


# Ties


@TOGETHER
@pytest.mark.databases("postgresql")
def test_an_order_with_ties_loses_rows(transactional_db: None, session: Session) -> None:
    many_courses(30)
    for order, shown in ((["level"], 27), (["level", "pk"], 30)):
        rows = Course.objects.order_by(*order).values_list("pk", flat=True)
        assert len({pk for at in range(0, 30, 5) for pk in rows[at : at + 5]}) == shown
    session("pagination_ties.pycon", Course=Course)


@pytest.mark.wrong("lab/rest_apis/pagination.py:wrong_by_start")
@pytest.mark.databases
def test_a_cursor_over_too_many_ties_never_ends(db: None, session: Session, database: str) -> None:
    Course.objects.bulk_create(
        Course(title="Same day", slug=f"course-{n}", published=True, starts_on=DAY, ends_on=DAY) for n in range(1200)
    )
    link: str = "/by-start/"
    for _ in range(11):
        link = APIClient().get(link).json()["next"]
    assert APIClient().get(link).json()["next"] == link, "offset_cutoff is 1000"
    if database == "postgresql":
        session("pagination_loop.pycon", client=APIClient(), Course=Course)


# The price


def catalog() -> QuerySet[Course]:
    """Return what the catalog pages through."""
    return Course.objects.filter(published=True).order_by("-pk")


def page(way: type[BasePagination], **query: Any) -> list[Any]:
    """Return a page of the catalog as DRF cuts it."""
    request = Request(APIRequestFactory().get("/", query))
    return list(way().paginate_queryset(catalog(), request, Catalog()) or [])


WAYS: dict[str, Callable[[int], list[Any]]] = {
    "page number, and its count": lambda skipped: page(Pages, page=skipped // 20 + 1),
    "offset without a count": lambda skipped: page(Uncounted, offset=skipped),
    "cursor": lambda skipped: page(Newest, cursor=cursor(f"p={ROWS + 1 - skipped}")),
}


def taken(way: Callable[[int], list[Any]], skipped: int) -> float:
    """Return how many milliseconds a page takes, the median of nine."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        rows = way(skipped)
        times.append(time.perf_counter() - start)
        assert [rows[0].pk, len(rows)] == [ROWS - skipped, 20]
    return median(times) * 1000


def measure_pages() -> Measurement:
    """Return the time that a page takes, the deeper it lies."""
    server, release = versions.server().split()
    return Measurement(
        title="A page of twenty out of 100,000 courses",
        description=(
            "The cursor takes the same time at every depth. The offset grows with the rows that it skips; "
            "the page number costs a count on top, on the first page too."
        ),
        x="courses before the page",
        y="time (ms)",
        versions={
            "DRF": version("djangorestframework"),
            "Django": version("django"),
            "psycopg": version("psycopg"),
            server: release,
        },
        lines={
            name: [(depth, round(taken(way, depth), 2)) for depth in (0, 20_000, 40_000, 60_000, 80_000, 99_980)]
            for name, way in WAYS.items()
        },
    )


@pytest.mark.measures("pagination_depth")
@TOGETHER
@pytest.mark.databases("postgresql")
def test_what_a_deep_page_costs(
    transactional_db: None,
    record: Recorder,
    measured: Callable[[str, Callable[[], Measurement]], Measurement],
) -> None:
    many_courses(ROWS)
    with connection.cursor() as sql:
        sql.execute("SET max_parallel_workers_per_gather = 0")  # a plan that is the same on every machine
    for way in WAYS.values():
        way(0)  # the first query of a connection takes longer
    recorded = measured("pagination_depth.json", measure_pages)
    number, offset, by_cursor = (dict(line) for line in recorded.lines.values())
    assert offset[99_980] > 3 * by_cursor[99_980]
    assert number[0] > 2 * by_cursor[0]
    assert number[99_980] > offset[99_980] > offset[0]
    assert by_cursor[99_980] < 3 * by_cursor[0]
    # What holds on every machine: who wins deep down, and how many rows are read.
    assert taken(WAYS["offset without a count"], 99_980) > taken(WAYS["cursor"], 99_980)
    deep, after = plan(catalog()[90_000:90_020]), plan(catalog().filter(pk__lt=ROWS + 1 - 90_000)[:21])
    with queries() as sent:
        catalog().count()
    count = plan(sent.statements[0])
    assert "rows=90020" in deep
    assert "rows=21" in after
    assert "rows=90020" not in after
    assert f"rows={ROWS}" in count
    record("pagination_offset.plan", deep)
    record("pagination_cursor.plan", after)
    record("pagination_count.plan", count)
    # A cursor over a column without an index reads and sorts every row after it.
    unindexed = plan(Course.objects.filter(published=True, title__gt="Course 5").order_by("title")[:21])
    assert "Seq Scan" in unindexed
    assert "top-N heapsort" in unindexed
    record("pagination_no_index.plan", unindexed)
    with connection.cursor() as sql:
        sql.execute("CREATE INDEX course_title ON academy_course (title)")
    try:
        indexed = plan(Course.objects.filter(published=True, title__gt="Course 5").order_by("title")[:21])
        assert "Index Scan using course_title" in indexed
    finally:
        with connection.cursor() as sql:
            sql.execute("DROP INDEX course_title")
            sql.execute("RESET max_parallel_workers_per_gather")
