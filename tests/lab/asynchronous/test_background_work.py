"""A letter that is lost with its process, and one that is kept in a table until it is sent."""

from __future__ import annotations

import asyncio
import threading
import time
from http.client import BadStatusLine, HTTPConnection
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock
from urllib.error import URLError
from urllib.parse import urlsplit

import django
import psycopg
import pytest
from django.apps import apps
from django.db import OperationalError, connection
from django.test import Client

from lab.academy.models import Course, Enrollment, Learner
from lab.academy.seed import seed
from lab.asynchronous import background_work
from lab.asynchronous.background_work import Letter, enroll_and_promise, send_next, write_letter, wrong_send_next
from lab.asynchronous.upstream import Upstream, running
from scripts import services
from tests.lab.marks import recorded_on_5_2
from tests.lab.serving import UVICORN, serve
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.exchange import Exchange, exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from time_machine import TimeMachineFixture

    from tests.recording.files import Recorder

TOGETHER = pytest.mark.django_db(transaction=True)
SERVERS = pytest.mark.databases("postgresql", "mariadb")
URLS = "lab.asynchronous.background_work"


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """The service that prints and sends letters."""
    with running() as service:
        monkeypatch.setenv("UPSTREAM_URL", service.url)
        yield service


@pytest.fixture
def letter_table(transactional_db: None) -> Iterator[None]:
    """A table for letters."""
    assert Letter not in apps.get_models()
    with connection.schema_editor() as editor:
        editor.create_model(Letter)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Letter)


@pytest.fixture
def letters(letter_table: None, academy: None) -> None:
    """An academy that sends letters."""


def free_course() -> str:
    """Return the slug of a course that Ama may join."""
    return Course.objects.filter(published=True).exclude(learners=1).values_list("slug", flat=True)[0]


def post(url: str, path: str) -> Exchange:
    """Send an empty form to a server."""
    return exchange(url, "POST", path, {"Content-Type": "application/x-www-form-urlencoded"}, "")


@pytest.mark.wrong("lab/asynchronous/background_work.py:wrong_join")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_task_ends_with_its_process(letters: None, mail: Upstream) -> None:
    with serve(*UVICORN, urls=URLS, UPSTREAM_URL=mail.url) as url:
        answer = post(url, f"/wrong/1/{free_course()}/")
        assert answer.status == 201
        mail.arrived(1)
    assert Enrollment.objects.filter(pk=int(answer.body.split(":")[1].strip(" }\n"))).exists(), "the seat is stored"
    mail.release("print")
    mail.finished(1)
    assert mail.seen == ["print"], "and nobody is left to send"


@pytest.mark.wrong("lab/asynchronous/background_work.py:wrong_join")
@pytest.mark.urls(URLS)
@TOGETHER
def test_under_wsgi_the_task_ends_with_the_request(
    letters: None, mail: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Mock()
    monkeypatch.setattr(background_work, "tasks", kept)
    assert Client().post(f"/wrong/1/{free_course()}/").status_code == 201
    (task,) = kept.add.call_args.args
    assert task.cancelled()
    assert "send" not in mail.seen


@recorded_on_5_2("6.1 sends no Vary: Cookie from views without a session")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_row_outlives_the_process(letters: None, mail: Upstream, record: Recorder) -> None:
    with serve(*UVICORN, "--no-server-header", "--no-date-header", urls=URLS, UPSTREAM_URL=mail.url) as url:
        answer = post(url, f"/join/1/{free_course()}/")
        assert answer.status == 201
    assert mail.seen == []
    assert send_next()
    assert not send_next()
    assert mail.done == ["letter-1"]
    with serve(*UVICORN, "--no-server-header", "--no-date-header", urls=URLS, UPSTREAM_URL=mail.url) as url:
        asked = exchange(url, "GET", "/letters/1/", {})
    assert asked.body.strip() == '{"attempts": 1, "sent": true}'
    record("background_work_join.http", f"{answer.text.rstrip()}\n\n{asked.text}")


@TOGETHER
@pytest.mark.urls(URLS)
def test_the_answer_names_a_place_to_ask(letters: None, mail: Upstream) -> None:
    ama = Learner.objects.order_by("pk")[0]
    course = Course.objects.filter(published=True).exclude(learners=ama)[0]
    client = Client()
    place = client.post(f"/join/{ama.pk}/{course.slug}/").json()["letter"]
    assert client.get(place).json() == {"attempts": 0, "sent": False}
    assert send_next()
    assert client.get(place).json() == {"attempts": 1, "sent": True}


def test_a_letter_is_printed_then_sent(mail: Upstream) -> None:
    mail.release("print")
    asyncio.run(write_letter())
    assert mail.done == ["print", "send"]


@SERVERS
@TOGETHER
@pytest.mark.urls(URLS)
def test_no_seat_and_no_letter(letters: None, mail: Upstream) -> None:
    Course.objects.update(seats=1)
    ama = Learner.objects.order_by("pk")[0]
    full = Course.objects.filter(published=True, enrollments__isnull=False).exclude(learners=ama).distinct()[0]
    answer = Client().post(f"/join/{ama.pk}/{full.slug}/")
    assert (answer.status_code, answer.json()) == (409, {"error": "the course is full"})
    assert not Letter.objects.exists()


@SERVERS
@TOGETHER
def test_no_letter_and_no_seat(letters: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ama = Learner.objects.order_by("pk")[0]
    course = Course.objects.filter(published=True).exclude(learners=ama)[0]
    before = Enrollment.objects.count()
    monkeypatch.setattr(Letter, "save", Mock(side_effect=OperationalError("the disk is full")))
    with pytest.raises(OperationalError, match="the disk is full"):
        enroll_and_promise(ama, course)
    assert Enrollment.objects.count() == before


def promise(number: int) -> list[Letter]:
    """Store letters that are due."""
    seats = Enrollment.objects.order_by("pk")[:number]
    for seat in seats:
        Letter.objects.create(seat=seat)
    return list(Letter.objects.order_by("pk"))


def refuse(refused: set[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the service refuse the letters with these names; return those that it is asked for."""
    asked = []

    def ask(url: str, timeout: float) -> str:
        name = url.rsplit("/", 1)[1]
        asked.append(name)
        if name in refused:
            raise URLError("no such street")
        return name

    monkeypatch.setenv("UPSTREAM_URL", "http://mail.example")
    monkeypatch.setattr(background_work, "ask", ask)
    return asked


@SERVERS
@TOGETHER
@pytest.mark.wrong("lab/asynchronous/background_work.py:wrong_send_next")
def test_one_bad_letter_stops_all_behind_it(letters: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = promise(3)
    asked = refuse({f"letter-{first.pk}"}, monkeypatch)
    for _ in range(3):
        with pytest.raises(URLError, match="no such street"):
            wrong_send_next()
    assert asked == [f"letter-{first.pk}"] * 3
    assert not Letter.objects.exclude(sent_at=None).exists()
    asked = refuse(set(), monkeypatch)
    while wrong_send_next():
        pass
    assert len(asked) == 3


@TOGETHER
@pytest.mark.parametrize("error", [TimeoutError(), BadStatusLine("?"), ValueError("no digits in the number")])
def test_whatever_is_wrong_with_a_letter_the_next_is_sent(
    letters: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    promise(2)
    monkeypatch.setenv("UPSTREAM_URL", "http://mail.example")
    monkeypatch.setattr(background_work, "ask", Mock(side_effect=[error, "sent"]))
    while send_next():
        pass
    assert [letter.sent_at is not None for letter in Letter.objects.order_by("pk")] == [False, True]


@SERVERS
@TOGETHER
def test_a_bad_letter_waits_longer_each_time(
    letters: None, monkeypatch: pytest.MonkeyPatch, time_machine: TimeMachineFixture, record: Recorder, database: str
) -> None:
    time_machine.move_to("2026-11-23T12:00:00Z", tick=False)
    first, *others = promise(3)
    asked = refuse({f"letter-{first.pk}"}, monkeypatch)
    lines = ["| Minute | Asked for |", "| ---: | --- |"]
    for minute in range(70):
        before = len(asked)
        while send_next():
            pass
        if asked[before:]:
            names = ", ".join(f"letter {int(name.split('-')[1]) - first.pk + 1}" for name in asked[before:])
            lines.append(f"| {minute} | {names} |")
        time_machine.shift(60)
    assert [letter.sent_at is not None for letter in Letter.objects.order_by("pk")] == [False, True, True]
    first.refresh_from_db()
    assert first.attempts == 5
    assert len(asked) == 5 + len(others)
    if database == "postgresql":
        record("background_work_retries.md", "\n".join(lines))
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["0", "2", "6", "14", "30"]


@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_worker_that_dies_before_the_commit_sends_twice(letters: None, monkeypatch: pytest.MonkeyPatch) -> None:
    promise(1)
    asked = refuse(set(), monkeypatch)
    name = connection.settings_dict["NAME"]
    save = Letter.save

    def cut(letter: Letter, **arguments: Any) -> None:
        """Lose the connection between the letter and the commit."""
        with psycopg.connect(services.url("postgresql"), autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        save(letter, **arguments)

    monkeypatch.setattr(Letter, "save", cut)
    with pytest.raises(OperationalError):
        send_next()
    connection.close()
    monkeypatch.setattr(Letter, "save", save)
    assert Letter.objects.get().attempts == 0
    assert send_next()
    assert len(asked) == 2
    assert len(set(asked)) == 1, "the receiver can tell that it has this letter"


@SERVERS
@TOGETHER
def test_two_workers_do_not_send_the_same(letters: None, monkeypatch: pytest.MonkeyPatch) -> None:
    promise(2)
    together = threading.Barrier(2, timeout=10)
    asked = []

    def ask(url: str, timeout: float) -> str:
        asked.append(url)
        together.wait()  # both hold a letter now
        return ""

    def work() -> None:
        try:
            send_next()
        finally:
            connection.close()

    monkeypatch.setenv("UPSTREAM_URL", "http://mail.example")
    monkeypatch.setattr(background_work, "ask", ask)
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(asked)) == 2
    assert not Letter.objects.filter(sent_at=None).exists()


@SERVERS
@TOGETHER
def test_without_the_index_mariadb_locks_what_it_reads(
    letters: None, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    promise(2)
    with connection.schema_editor() as editor:
        editor.remove_index(Letter, Letter._meta.indexes[0])
    found: list[bool] = []

    def ask(url: str, timeout: float) -> str:
        """While the first worker holds a letter, let a second one look for another."""
        if not found:
            found.append(False)
            second = threading.Thread(target=look)
            second.start()
            second.join()
        return ""

    def look() -> None:
        try:
            found[0] = send_next()
        finally:
            connection.close()

    monkeypatch.setenv("UPSTREAM_URL", "http://mail.example")
    monkeypatch.setattr(background_work, "ask", ask)
    assert send_next()
    assert found == [database == "postgresql"]
    with connection.schema_editor() as editor:
        editor.add_index(Letter, Letter._meta.indexes[0])


notes: list[str] = []


def note() -> None:
    """Leave a note that a task ran."""
    notes.append("ran")


@pytest.mark.skipif(django.VERSION < (6, 0), reason="django.tasks came with Django 6.0")
def test_what_django_brings_runs_the_task_at_once(db: None) -> None:
    from django.tasks import task  # type: ignore[import-not-found,unused-ignore]

    result: Any = task(note).enqueue()
    assert notes == ["ran"], "before enqueue returns"
    assert result.backend == "default"


def measure(repeats: int = 40) -> Measurement:
    """Return how long a client waits for a seat, by what happens to the letter."""
    seed(courses=10, learners=3 * repeats + 10)
    slug = Course.objects.filter(published=True).order_by("pk").values_list("slug", flat=True)[0]
    Course.objects.update(seats=30_000)
    free = iter(Learner.objects.exclude(enrollments__course__slug=slug).order_by("pk").values_list("pk", flat=True))
    ways = {"the letter is sent first": "waiting", "a row is stored": "join"}
    times: dict[str, list[float]] = {name: [] for name in ways}
    with running() as mail, serve(*UVICORN, urls=URLS, UPSTREAM_URL=mail.url, SERVED_POOL="2") as url:
        client = HTTPConnection(urlsplit(url).netloc, timeout=10)
        for turn in range(repeats):
            for name, path in ways.items():
                start = time.perf_counter()
                client.request("POST", f"/{path}/{next(free)}/{slug}/")
                answer = client.getresponse()
                answer.read()
                assert answer.status == 201
                if turn >= repeats // 8:
                    times[name].append(1000 * (time.perf_counter() - start))
        client.close()
    return Measurement(
        title="What a client waits for",
        description="The answer that sends a letter first takes as long as the letter; a stored row takes a fraction.",
        x="what happens before the answer",
        y="median time of a request (ms)",
        versions={
            "Django": version("django"),
            "Uvicorn": version("uvicorn"),
            "PostgreSQL": versions.server().removeprefix("PostgreSQL "),
        },
        bars={name: round(median(all_of_it), 1) for name, all_of_it in times.items()},
    )


@pytest.mark.measures("background_work")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_what_a_client_waits_for(
    letter_table: None, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    first, stored = measured("background_work.json", measure).bars.values()
    assert first > 100 > 3 * stored


@pytest.mark.databases("postgresql")
@TOGETHER
def test_the_measurement_with_few_requests(letter_table: None) -> None:
    first, stored = measure(repeats=3).bars.values()
    assert first > 100 > stored
