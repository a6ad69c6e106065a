"""One id through async code, a thread and a worker; numbers that stay few; what never gets into a log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from contextlib import contextmanager
from statistics import mean
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client, RequestFactory

from lab.academy.models import Course
from lab.celery import app
from lab.practices import observability
from lab.practices.observability import (
    Histogram,
    WithTrace,
    access,
    configure,
    forget,
    pack,
    recount,
    trace_id,
    trace_of,
    unpack,
    wrong_access,
)
from lab.python.logging import JsonLines
from scripts.pages import ROOT
from tests.lab.people import bearer
from tests.lab.production import kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from tests.lab.people import People
    from tests.recording.files import Recorder

CALLER = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{CALLER}-b7ad6b7169203331-01"


@contextmanager
def written(name: str = "academy") -> Iterator[io.StringIO]:
    """Collect what the handler of the page writes for a logger."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(WithTrace())
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        yield stream
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def without_time(line: str) -> dict[str, Any]:
    """Return a line of JSON as it is at any time."""
    read: dict[str, Any] = json.loads(line)
    read.pop("time")
    return read


@pytest.fixture
def routes(settings: Settings) -> None:
    """The views of the page, behind the middleware that traces."""
    settings.ROOT_URLCONF = "lab.practices.observability"
    settings.MIDDLEWARE = ["lab.practices.observability.tracing"]


# One id


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_id_goes_from_the_caller_into_the_worker(
    academy: None, routes: None, worker: Callable[..., Any], record: Recorder
) -> None:
    async def ask() -> Any:
        return await AsyncClient().get("/courses/python/recount/", headers={"traceparent": TRACEPARENT})

    with worker("lab.practices.observability") as running:
        with written() as stream:
            answer = async_to_sync(ask)()
        assert answer.status_code == 202
        assert answer["X-Trace-ID"] == CALLER
        assert running.says('"counted"')
        done = [line for line in running.printed.splitlines() if "counted" in line]
    lines = [without_time(line) for line in [*stream.getvalue().splitlines(), *done]]
    assert [line["message"] for line in lines] == ["asked", "looking up", "counted"]
    assert {line["trace"] for line in lines} == {CALLER}
    record("observability_log.txt", "\n".join(json.dumps(line) for line in lines))


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_keep_their_ids(academy: None, routes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recount, "delay", str)

    async def both() -> list[Any]:
        client = AsyncClient()
        return list(await asyncio.gather(*(client.get(f"/courses/{slug}/recount/") for slug in ("python", "django"))))

    with written() as stream:
        answers = async_to_sync(both)()
    ids = [answer["X-Trace-ID"] for answer in answers]
    assert len(set(ids)) == 2
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["trace"], line["course"]) for line in lines if "course" in line} == {
        (ids[0], "python"),
        (ids[1], "django"),
    }
    assert trace_id.get() == "-"


@pytest.mark.django_db
def test_synchronous_code_has_the_id_too(academy: None, routes: None) -> None:
    with written() as counted:
        recount("python")
    assert json.loads(counted.getvalue())["learners"] == 4
    with written() as stream:
        answer = Client().get("/courses/python/seats/", headers={"traceparent": TRACEPARENT})
    assert answer["X-Trace-ID"] == json.loads(stream.getvalue())["trace"] == CALLER
    assert trace_id.get() == "-"


@pytest.mark.django_db
def test_the_line_about_a_failed_request_has_the_id(routes: None) -> None:
    client = Client(raise_request_exception=False)
    with written("django.request") as stream:
        answer = client.get("/courses/nothing/seats/", headers={"traceparent": TRACEPARENT})
    assert answer.status_code == 500
    assert json.loads(stream.getvalue())["trace"] == CALLER


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", TRACEPARENT.upper(), f"{TRACEPARENT}\n", f"00-{'0' * 32}-b7ad6b7169203331-01"],
)
def test_a_malformed_traceparent_is_no_id(header: str) -> None:
    request = RequestFactory().get("/", headers={"traceparent": header})
    found = trace_of(request)
    assert len(found) == 32
    assert found not in header.lower() or not header


def test_what_the_worker_does_with_the_id() -> None:
    class Task:
        class request:  # noqa: N801
            trace_id = CALLER

    headers: dict[str, Any] = {}
    pack(headers)
    assert headers == {"trace_id": "-"}
    unpack(Task)
    assert trace_id.get() == CALLER
    forget()
    assert trace_id.get() == "-"
    assert app.tasks["lab.practices.observability.recount"]


def test_the_configuration_is_one_that_logging_takes() -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        configure()
        [handler] = root.handlers
        assert isinstance(handler.formatter, JsonLines)
        assert [type(one) for one in handler.filters] == [WithTrace]
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])


# What never to log


@pytest.mark.wrong("lab/practices/observability.py:wrong_access")
def test_a_token_in_the_log_signs_in(people: People, record: Recorder) -> None:
    header = bearer(people.ama)
    request = RequestFactory().get("/api/v1/enrollments/", headers={**header, "accept": "application/json"})
    lines = {}
    for function in (wrong_access, access):
        with written() as stream:
            function(request)
        lines[function.__name__] = json.loads(stream.getvalue())["headers"]
    assert lines["access"] == {"accept": "application/json"}
    stolen = lines["wrong_access"]["Authorization"]
    answer = Client().get("/api/v1/enrollments/", headers={"authorization": stolen}, secure=True)
    assert answer.status_code == 200
    assert {row["learner"] for row in answer.json()["results"]} == {"Ama"}
    shown = {**lines["wrong_access"], "Authorization": f"{stolen[:10]}…"}
    record(
        "observability_token.txt",
        f"wrong_access: {json.dumps(shown, ensure_ascii=False)}\naccess:       {json.dumps(lines['access'])}\n"
        f"Asked with the header from the log: {answer.status_code}, {answer.json()['results'][0]['learner']}'s grades",
    )


# Numbers


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Histogram:
    """A histogram that has counted nothing yet."""
    made = Histogram("http_request_seconds", "route", "status")
    monkeypatch.setattr(observability, "requests", made)
    return made


def series(histogram: Histogram) -> int:
    """Return how many series a metrics server has to keep."""
    return sum(not line.startswith("#") for line in histogram.lines())


@pytest.mark.django_db
@pytest.mark.wrong("lab/practices/observability.py:wrong_timing")
def test_a_label_for_each_path_is_a_series_for_each_path(
    academy: None, settings: Settings, fresh: Histogram, record: Recorder
) -> None:
    settings.ROOT_URLCONF = "lab.practices.observability"
    slugs = list(Course.objects.values_list("slug", flat=True))
    paths = [f"/courses/{slug}/seats/" for slug in slugs] + [f"/wp-admin/{n}.php" for n in range(1000)]
    lines = [f"{len(slugs)} courses, and a scanner that tries 1,000 paths:"]
    found = {}
    for middleware in ("wrong_timing", "timing"):
        fresh.counts.clear()
        settings.MIDDLEWARE = [f"lab.practices.observability.{middleware}"]
        client = Client(raise_request_exception=False)
        for path in paths:
            client.get(path)
        found[middleware] = series(fresh)
        lines.append(f"{middleware + ':':13} {found[middleware]:>5,} series")
    assert found == {"wrong_timing": 1010 * 8, "timing": 2 * 8}
    record("observability_series.txt", "\n".join(lines))


def test_a_mean_hides_the_slow_ones(record: Recorder) -> None:
    steady = [0.1] * 100
    uneven = [0.05] * 95 + [1.05] * 5
    assert mean(steady) == pytest.approx(mean(uneven))
    shown = []
    for name, times in (("steady", steady), ("uneven", uneven)):
        histogram = Histogram("answer_seconds", "service")
        for seconds in times:
            histogram.observe(seconds, name)
        shown += [line for line in histogram.lines() if line.startswith("answer")]
    assert 'answer_seconds_bucket{service="steady",le="0.1"} 100' in shown
    assert 'answer_seconds_bucket{service="uneven",le="0.1"} 95' in shown
    assert 'answer_seconds_bucket{service="uneven",le="1"} 95' in shown
    assert [line for line in shown if "_sum" in line] == [
        'answer_seconds_sum{service="steady"} 10.000',
        'answer_seconds_sum{service="uneven"} 10.000',
    ]
    record("observability_mean.txt", "\n".join(shown))


@pytest.mark.django_db
def test_the_collector_reads_what_was_counted(academy: None, settings: Settings, fresh: Histogram) -> None:
    settings.ROOT_URLCONF = "lab.practices.observability"
    settings.MIDDLEWARE = ["lab.practices.observability.timing"]
    Client().get("/courses/python/seats/")
    text = Client().get("/metrics/").content.decode()
    assert 'http_request_seconds_count{route="courses/<slug:slug>/seats/",status="200"} 1' in text


@pytest.mark.slow
def test_each_process_counts_for_itself() -> None:
    observability.requests.observe(0.1, "here", "200")
    code = "import django; django.setup(); from lab.practices.observability import requests; print(*requests.lines())"
    environ = {**kept(), "DJANGO_SETTINGS_MODULE": "lab.settings", "DEBUG": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert "here" not in done.stdout
