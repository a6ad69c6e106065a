"""What is kept of an answer of the database, how often the database is asked, and what goes wrong with objects."""

from __future__ import annotations

import gc
import pickle
import time
import warnings
import weakref
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core.cache import cache
from django.core.cache.backends.redis import RedisSerializer
from django.core.paginator import EmptyPage
from django.db import ProgrammingError, connection

from lab.academy.enrolling import enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.caching import query_caching_samples
from lab.caching.query_caching import (
    CountedPages,
    Overview,
    average_grade,
    cached_average_grade,
    cached_popular_courses,
    course_cards,
    course_cards_one_by_one,
    popular_courses,
    wrong_average_grade,
    wrong_course,
    wrong_courses,
    wrong_enrollments,
    wrong_popular_courses,
)
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from tests.recording.files import Recorder

pytestmark = [pytest.mark.django_db, pytest.mark.databases("postgresql")]


@pytest.fixture
def memo() -> Iterator[None]:
    """What functools.cache holds must not outlive the test."""
    wrong_enrollments.cache_clear()
    yield
    wrong_enrollments.cache_clear()


# Values


def test_a_hundred_calls_and_one_query(academy: None, session: Callable[..., None]) -> None:
    session("query_caching_hits.pycon", queries=queries, cached_popular_courses=cached_popular_courses)
    assert cached_popular_courses("beginner") == popular_courses("beginner")
    assert cached_popular_courses("beginner") != cached_popular_courses("advanced"), "the level is in the key"


@pytest.mark.wrong("lab/caching/query_caching.py:wrong_call")
def test_an_answer_in_place_of_a_function(academy: None, session: Callable[..., None]) -> None:
    names: dict[str, Any] = {"queries": queries, "wrong_popular_courses": wrong_popular_courses}
    session("query_caching_call.pycon", **names)


@pytest.mark.wrong("lab/caching/query_caching.py:wrong_queryset")
def test_a_queryset_that_was_kept(academy: None, session: Callable[..., None]) -> None:
    session("query_caching_queryset.pycon", queries=queries, wrong_courses=wrong_courses)
    courses = Course.objects.filter(published=True, level="advanced")
    with queries() as sent:
        pickle.dumps(courses)
    assert len(sent.statements) == 1, "to pickle a queryset is to run it"
    assert '"description"' in sent.statements[0], "every column"
    dumped = RedisSerializer().dumps(courses)
    assert b"WhereNode" in dumped
    assert len(dumped) > 5 * len(RedisSerializer().dumps(popular_courses("advanced")))


@pytest.mark.wrong("lab/caching/query_caching.py:wrong_object")
def test_an_old_object_is_saved(academy: None, session: Callable[..., None]) -> None:
    before = Course.objects.get(slug="python").seats
    session("query_caching_object.pycon", wrong_course=wrong_course, Course=Course)
    assert Course.objects.get(slug="python").seats == before != 100


def test_an_object_of_the_last_release(session: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    models: dict[str, Any] = {}
    monkeypatch.setitem(apps.all_models, "query_caching", models)
    monkeypatch.setattr(apps, "get_model", lambda *names: models[names[1].lower()])
    room: Any = query_caching_samples.first_release()
    kept = [room(pk=number, name=f"Room {number}", chairs=20) for number in (1, 2, 3)]
    cache.set("rooms", kept)
    with warnings.catch_warnings(action="ignore"):  # that the name is taken
        room = query_caching_samples.second_release()
    with connection.schema_editor() as editor:
        editor.create_model(room)
    room.objects.bulk_create(room(pk=number, name=f"Room {number}", seats=20, floor=1) for number in (1, 2, 3))
    session("query_caching_release.pycon", cache=cache, queries=queries)
    assert type(cache.get("rooms")[0]) is room
    with connection.schema_editor() as editor:
        editor.delete_model(room)
    with pytest.raises(ProgrammingError):
        _ = cache.get("rooms")[0].floor
    connection.needs_rollback = False


def test_a_model_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(apps.all_models, "query_caching", {})
    with warnings.catch_warnings(action="ignore"):
        room: Any = query_caching_samples.first_release()
    cache.set("room", room(pk=1, name="Room 1", chairs=20))
    with pytest.raises(LookupError):
        cache.get("room")


# None


@pytest.mark.wrong("lab/caching/query_caching.py:wrong_none")
def test_none_is_an_answer(academy: None, session: Callable[..., None]) -> None:
    Enrollment.objects.filter(course__slug="queues").update(grade=None)
    names: dict[str, Any] = {"cache": cache, "queries": queries, "cached_average_grade": cached_average_grade}
    session("query_caching_none.pycon", wrong_average_grade=wrong_average_grade, **names)
    assert cached_average_grade("python") == average_grade("python") is not None


@pytest.mark.services
def test_get_or_set_keeps_none(server: Redis) -> None:
    asked = []
    for _ in range(3):
        assert cache.get_or_set("course:queues:average", lambda: asked.append(1)) is None
    assert asked == [1]


# Many at once


def trips(server: Redis, work: Callable[[], object]) -> tuple[int, int]:
    """Return the commands and the round trips that some work costs: how often the server read from its socket."""
    cache.get("warm")
    with queries() as sent:
        before = server.info("stats")
        work()
        after = server.info("stats")
    assert sent
    names = ("total_commands_processed", "total_reads_processed")
    commands, reads = (int(after[name]) - int(before[name]) for name in names)
    return commands - 1, reads - 1  # without INFO itself


@pytest.mark.services
def test_the_trips(academy: None, server: Redis, record: Recorder) -> None:
    ids = list(Course.objects.values_list("pk", flat=True))
    rows = [["Ten cards", "State of the cache", "Round trips", "Commands", "Queries"], ["---", "---", *["---:"] * 3]]
    numbers = {}
    for title, function in (("`get_or_set` for each", course_cards_one_by_one), ("`course_cards`", course_cards)):
        cache.clear()
        for state in ("empty", "full"):
            with queries() as sent:
                commands, reads = trips(server, lambda function=function: function(ids))  # type: ignore[misc]
            numbers[title, state] = (reads, commands, len(sent.statements))
            rows.append([title, state, *map(str, numbers[title, state])])
    record("query_caching_trips.md", "\n".join(f"| {' | '.join(row)} |" for row in rows))
    assert [reads for reads, _, _ in numbers.values()] == [30, 10, 2, 1]
    assert [asked for _, _, asked in numbers.values()] == [10, 0, 1, 0]
    assert course_cards(ids) == course_cards_one_by_one(ids)
    cache.delete(f"course:{ids[0]}:card")
    with queries() as sent:
        assert course_cards([*ids, 12345]).keys() == set(ids)
    assert len(sent.statements) == 1


# A figure


def test_a_count_that_is_kept(academy: None, session: Callable[..., None]) -> None:
    session("query_caching_count.pycon", queries=queries, Course=Course, CountedPages=CountedPages)
    with pytest.raises(EmptyPage):
        CountedPages(Course.objects.order_by("pk"), 3, "published").page(4)


# Once a request, once a process


def test_once_for_each_request(academy: None, session: Callable[..., None]) -> None:
    session("query_caching_memo.pycon", queries=queries, Overview=Overview, Learner=Learner)


@pytest.mark.wrong("lab/caching/query_caching.py:wrong_functools")
def test_once_for_the_life_of_the_process(academy: None, memo: None, session: Callable[..., None]) -> None:
    names: dict[str, Any] = {"Learner": Learner, "Course": Course, "enroll": enroll}
    Enrollment.objects.filter(learner__name="Ama", course__slug="python").delete()
    session("query_caching_functools.pycon", wrong_enrollments=wrong_enrollments, **names)
    for learner in Learner.objects.all():
        wrong_enrollments(learner)
    alive = weakref.ref(learner)
    del learner
    gc.collect()
    assert wrong_enrollments.cache_info().currsize == 10
    assert wrong_enrollments.cache_info().maxsize is None
    assert alive() is not None, "the key keeps the object alive"
    wrong_enrollments.cache_clear()
    gc.collect()
    assert alive() is None


# Objects or values


def store(server: Redis, size: int) -> dict[str, Callable[[], list[str]]]:
    """Keep so many courses in three ways; return how to read their titles from each, and from the database."""
    courses = Course.objects.order_by("pk")[:size]
    cache.set("queryset", courses)
    cache.set("values", list(courses.values("title", "slug", "seats")))

    def read_values() -> list[str]:
        return [row["title"] for row in cache.get("values")]

    def read_queryset() -> list[str]:
        return [course.title for course in cache.get("queryset")]

    def ask() -> list[str]:
        return [course.title for course in courses.all()]

    def ask_values() -> list[str]:
        return [row["title"] for row in courses.values("title", "slug", "seats")]

    return {
        "query, objects": ask,
        "query, values": ask_values,
        "Valkey, a queryset": read_queryset,
        "Valkey, values": read_values,
    }


def measure_values(server: Redis, sizes: tuple[int, ...], times: int) -> Measurement:
    """Return how long each way takes for lists of these sizes."""
    more = max(sizes) - Course.objects.count()
    first = Course.objects.get(slug="python")
    Course.objects.bulk_create(
        Course(
            title=f"Course {n}",
            slug=f"course-{n}",
            description=first.description,
            starts_on=first.starts_on,
            ends_on=first.ends_on,
        )
        for n in range(more)
    )
    lines: dict[str, list[tuple[float, float]]] = {}
    for size in sizes:
        ways = store(server, size)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for run in range(times + 3):
            for name, read in ways.items():
                start = time.perf_counter()
                titles = read()
                if run >= 3:
                    taken[name].append(1000 * (time.perf_counter() - start))
                assert len(titles) == size
        for name, each in taken.items():
            lines.setdefault(name, []).append((size, round(median(each), 3)))
    release = str(server.info("server")["valkey_version"])
    return Measurement(
        title="A list of courses, read",
        description="Values are read from Valkey several times as fast as a queryset that was kept there.",
        x="courses in the list",
        y="time (ms)",
        versions={"Django": version("django"), "redis-py": version("redis"), "Valkey": release},
        lines=lines,
        log_x=True,
        log_y=True,
    )


@pytest.mark.services
@pytest.mark.measures("query_values")
def test_the_time_of_objects_and_values(
    academy: None, server: Redis, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    recorded = measured("query_values.json", lambda: measure_values(server, (1, 10, 100, 1000), 40))
    objects, values, queryset, kept = (dict(line) for line in recorded.lines.values())
    assert queryset[1000] > 3 * kept[1000]
    assert queryset[1000] > objects[1000] / 3, "little or nothing is won"
    assert values[1000] < queryset[1000], "the database is faster with three columns"
    assert kept[1000] < values[1000]


@pytest.mark.services
def test_values_are_smaller_than_objects(academy: None, server: Redis) -> None:
    assert len(measure_values(server, (50,), 1).lines) == 4
    sizes = {name: len(server.get(cache.make_key(name)) or b"") for name in ("queryset", "values")}
    assert sizes["queryset"] > 3 * sizes["values"] > 0
