"""What a query finds, what it is refused, and what it must not learn."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from rest_framework.test import APIClient

from lab.academy.models import Course, Enrollment, Tag, User
from lab.rest_apis.filtering import CourseFilter
from tests.lab.rest_apis.many import many_courses
from tests.recording.plan import plan
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]

TOGETHER = pytest.mark.django_db(transaction=True)
EXPERIMENTS = pytest.mark.urls("lab.rest_apis.filtering_samples")
CATALOG = "/api/v1/courses/"


def found(query: str, path: str = CATALOG) -> list[str]:
    """Return the courses that a query finds."""
    answer = APIClient().get(f"{path}?{query}")
    assert answer.status_code == 200, answer.content
    return [course["slug"] for course in answer.json()["results"]]


# The catalog


@pytest.mark.databases
def test_what_the_catalog_can_be_asked(academy: None) -> None:
    assert found("level=beginner") == ["caching", "databases", "rest-apis"]
    assert found("starts_from=2026-02-02&starts_until=2026-02-09") == ["docker", "graphql"], "with both days"
    assert found("tag=web&level=beginner") == ["caching", "rest-apis"]
    assert found("search=api") == ["rest-apis"]
    assert found("search=running+docker") == ["docker"], "every word, in either field"
    assert found("ordering=-starts_on&page_size=2") == ["security", "testing"]
    assert found("level=") == found(""), "an empty value is none"
    everything = found("")
    assert found("tag=web&tag=data") == [
        course.slug for course in Course.objects.filter(tags__name__in=["web", "data"], published=True).distinct()
    ]
    assert len(everything) == 9
    assert "queues" not in everything, "no filter leads to a draft"
    assert found("search=queues") == []


@pytest.mark.databases
def test_free_seats_are_counted_whatever_else_is_asked(academy: None) -> None:
    course = Course.objects.get(slug="caching")
    assert course.tags.count() == 1
    course.tags.add(*Tag.objects.filter(name__in=["web", "data"]))
    taken = Enrollment.objects.filter(course=course).count()
    Course.objects.filter(pk=course.pk).update(seats=taken + 1)
    assert "caching" in found("free=true&tag=web&tag=data")
    Course.objects.filter(pk=course.pk).update(seats=taken)
    assert found("free=false") == ["caching"]
    assert "caching" not in found("free=true")


@pytest.mark.databases("postgresql")
def test_the_sql_of_a_query(academy: None, record: Recorder) -> None:
    with queries() as sent:
        found("level=beginner&starts_from=2026-01-20&search=api&ordering=-starts_on")
    sent.statements[2:] = []  # the prefetched tags
    record("filtering_catalog.sql", sent.text)
    with queries() as sent:
        found("free=true")
    sent.statements[1:] = []
    record("filtering_free.sql", sent.text)
    with queries() as sent:
        found("tag=web&tag=data")
    sent.statements[:] = sent.statements[2:3]
    record("filtering_tags.sql", sent.text)


# Refusals


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_a_refusal(academy: None, wire: Callable[..., Exchange], record: Recorder) -> None:
    path = f"{CATALOG}?levels=beginner&starts_from=soon"
    answer = wire("GET", path, {"Accept": "application/json; indent=2"})
    assert answer.status == 400
    record("filtering_refusal.http", answer.text)


@pytest.mark.databases
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("levels=beginner", "levels"),
        ("level=hard", "level"),
        ("tag=nothing", "tag"),
        ("tag=%00", "tag"),
        ("free=yes", "free"),
        ("search=a%00b", "search"),
        ("offset=5", "offset"),
        ("cursor=cD04", "cursor"),
        ("a/b=1", "a/b"),
        ("starts_from=soon", "starts_from"),
        ("ordering=seats", "ordering"),
        ("ordering=title,teacher__password", "ordering"),
        ("teacher__email__startswith=t", "teacher__email__startswith"),
    ],
)
def test_the_catalog_refuses_what_it_does_not_know(academy: None, query: str, parameter: str) -> None:
    answer = APIClient().get(f"{CATALOG}?{query}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@EXPERIMENTS
@pytest.mark.databases("postgresql")
def test_what_django_filter_ignores_by_default(academy: None, session: Session) -> None:
    session("filtering_lenient.pycon", client=APIClient())
    assert len(found("levels=beginner", "/lenient/")) == 9
    assert len(found("published=perhaps", "/lenient/")) == 9


def test_filters_apply_to_a_single_resource_too(academy: None) -> None:
    client = APIClient()
    assert client.get(f"{CATALOG}python/?level=intermediate").status_code == 200
    assert client.get(f"{CATALOG}python/?level=advanced").status_code == 404
    assert client.get(f"{CATALOG}python/?levels=advanced").status_code == 400


# Order


@EXPERIMENTS
@pytest.mark.wrong("lab/rest_apis/filtering_samples.py:wrong_order")
@pytest.mark.databases("postgresql")
def test_which_orders_each_view_obeys(people: People, record: Recorder) -> None:
    orders = ("title", "tags", "teacher", "teacher__password")
    ways = {"left out": "/default/", '`"__all__"`': "/all/", "`order_by()` by hand": "/order/"}
    obeyed: dict[tuple[str, str], str] = {}
    for way, path in ways.items():
        for order in orders:
            with queries() as sent:
                rows = found(f"ordering=-{order}", path)
            by = sent.statements[1].rpartition("ORDER BY ")[2]
            ignored = by.startswith('"academy_course"."title" ASC')
            obeyed[way, order] = "ignored" if ignored else "repeats rows" if len(set(rows)) < len(rows) else "obeyed"
    assert obeyed["left out", "teacher__password"] == obeyed['`"__all__"`', "teacher__password"] == "ignored"
    assert obeyed['`"__all__"`', "teacher"] == obeyed["`order_by()` by hand", "teacher__password"] == "obeyed"
    assert obeyed["left out", "tags"] == "repeats rows"
    lines = ["| `?ordering=` | " + " | ".join(ways) + " |", "| --- " * (1 + len(ways)) + "|"]
    lines += [f"| `{order}` | " + " | ".join(obeyed[way, order] for way in ways) + " |" for order in orders]
    record("filtering_orders.md", "\n".join(lines))


@EXPERIMENTS
@pytest.mark.databases("postgresql")
def test_the_record_of_an_order_over_tags(academy: None, session: Session) -> None:
    session("filtering_order_tags.pycon", client=APIClient())


@EXPERIMENTS
@pytest.mark.databases
def test_an_order_over_a_to_many_relation_repeats_and_loses_rows(academy: None) -> None:
    rows = found("ordering=tags", "/default/")
    assert len(rows) == 9
    assert len(set(rows)) < 9


@pytest.mark.databases
def test_the_order_of_the_catalog_has_no_ties(academy: None) -> None:
    with queries() as sent:
        found("ordering=-starts_on")
    assert (
        sent.statements[1]
        .split("ORDER BY")[1]
        .replace("`", '"')
        .startswith(' "academy_course"."starts_on" DESC, "academy_course"."id" ASC')
    )


# What a query learns


@EXPERIMENTS
@pytest.mark.wrong("lab/rest_apis/filtering_samples.py:wrong_query")
@pytest.mark.databases("postgresql")
def test_a_free_filter_reads_hidden_columns_letter_by_letter(people: People, session: Session) -> None:
    session("filtering_attack.pycon", client=APIClient())
    assert found("teacher__password__startswith=pbkdf2_sha256", "/query/") == ["python"]
    assert User.objects.get(courses_taught__slug="python").email == "teacher@example.com"


# Duplicates


@EXPERIMENTS
@pytest.mark.wrong("lab/rest_apis/filtering.py:wrong_tags")
@pytest.mark.databases
def test_a_join_over_tags_repeats_a_course(academy: None) -> None:
    rows = found("tag=web,data", "/tags/")
    assert (len(rows), len(set(rows))) == (8, 7)
    assert rows.count("testing") == 2


@EXPERIMENTS
@pytest.mark.databases("postgresql")
def test_the_record_of_a_repeated_course(academy: None, session: Session) -> None:
    session("filtering_tags.pycon", client=APIClient())


# Indexes


@TOGETHER
@pytest.mark.databases("postgresql")
def test_which_filters_have_an_index(transactional_db: None, record: Recorder) -> None:
    many_courses(20_000)
    published = Course.objects.filter(published=True)
    week = CourseFilter({"starts_from": "2026-02-02", "starts_until": "2026-02-08"}, published).qs
    assert week.count() == 500
    assert week.first().starts_on == datetime.date(2026, 2, 2)
    plans = plan(week[:20]), plan(published.filter(title__icontains="course 777")[:20])
    assert "course_published_start" in plans[0]
    assert "Seq Scan" in plans[1]
    record("filtering_range.plan", plans[0])
    record("filtering_search.plan", plans[1])
