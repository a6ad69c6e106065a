"""What the tests of the lab share: a database, an academy to work with, and the kinds of recordings."""

from __future__ import annotations

import datetime
import logging
import secrets
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import global_settings
from django.core.cache import cache, caches
from django.core.management.color import no_style
from django.core.servers.basehttp import ThreadedWSGIServer
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from pytest_django.live_server_helper import LiveServer

from lab import environment
from lab.academy.seed import seed
from scripts import services
from scripts.pages import ROOT
from scripts.services import Unavailable
from tests import databases
from tests.lab import asyncio_log, workers
from tests.lab.people import People
from tests.recording import exchange as exchanges
from tests.recording import session as sessions
from tests.recording import shell as shells
from tests.recording import versions
from tests.recording.chart import Measurement, chart, table
from tests.recording.files import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from django.core.cache.backends.base import BaseCache
    from pytest_django import DjangoDbBlocker, Settings
    from pytest_regressions.file_regression import FileRegressionFixture


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test marked ``databases`` once on each of its databases."""
    mark = metafunc.definition.get_closest_marker("databases")
    if mark:
        names = [
            pytest.param(name, marks=[] if name == "sqlite" else pytest.mark.services)
            for name in mark.args or databases.NAMES
        ]
        metafunc.parametrize("database", names, indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--measure NAME`` run only the test that makes this measurement."""
    if (name := config.getoption("measure")) is None:
        return
    measuring = {item: mark.args[0] for item in items if (mark := item.get_closest_marker("measures"))}
    items[:] = [item for item in items if measuring.get(item) == name]
    if not items:
        where = {name: item.path.parent.relative_to(Path(__file__).parent) for item, name in measuring.items()}
        names = "".join(f"\n  make measure NAME={name:<28} lab/{where[name]}" for name in sorted(where))
        raise pytest.UsageError(f"{f'There is no measurement {name}. ' if name else ''}Measurements:{names}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With ``--measure`` let a missing server be a failure: nobody asks for a measurement to be skipped."""
    report = yield
    if report.skipped and item.config.getoption("measure") is not None:
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session", autouse=True)
def drop_databases(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Drop the test databases when all tests have run."""
    yield
    with django_db_blocker.unblock():
        databases.stop()


@pytest.fixture(scope="module", autouse=True)
def database(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """The name of the database that the test runs on: SQLite, or what ``@pytest.mark.databases`` asks for."""
    name = getattr(request, "param", "sqlite")
    with ExitStack() as using:
        try:
            with django_db_blocker.unblock():
                using.enter_context(databases.use(name))
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield name


@pytest.fixture
def academy(db: None) -> None:
    """Ten courses and ten learners, the first of them Ama, Kofi and Esi; ids start at 1."""
    # Content types are there already; the next one must not get the number of the first.
    names = [name for name in connection.introspection.sequence_list() if name["table"] != "django_content_type"]
    if connection.vendor != "mysql":  # there it would end the transaction; no recording of ids is made on it
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_by_name_sql(no_style(), names):
                cursor.execute(statement)
    seed(courses=10, learners=10)


@pytest.fixture
def people(academy: None) -> People:
    """The academy's learners Ama and Kofi, a teacher, a registrar, and their clients."""
    return People()


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Forget what a test has cached, the counts of throttled requests among it."""
    yield
    cache.clear()


@pytest.fixture
def valkey(settings: Settings) -> Iterator[BaseCache]:
    """The cache ``default``, on a Valkey server, with keys of its own."""
    try:
        config = environment.cache(services.url("valkey"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    settings.CACHES = {"default": {**config, "KEY_PREFIX": secrets.token_hex(8), "TIMEOUT": 60}}
    with closing(caches["default"]) as used:
        yield used


@pytest.fixture
def rabbitmq() -> str:
    """The URL of a RabbitMQ server; queues of a test need names of their own."""
    try:
        return services.url("rabbitmq")
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a broker that the lab's Celery app uses during this test: Valkey, unless the parameter says rabbitmq.

    Tasks go to a queue of the test's own.
    """
    with ExitStack() as using:
        try:
            url = using.enter_context(workers.use_broker(getattr(request, "param", "valkey")))
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield url


@pytest.fixture
def worker(broker: str, tmp_path: Path) -> Callable[..., AbstractContextManager[workers.Worker]]:
    """Starts real workers.

    As in ``with worker("lab.message_queues.delivery", concurrency=2) as running``; see ``workers.work``.
    """
    return partial(workers.work, broker=broker, folder=tmp_path)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What asyncio logs."""
    handler = asyncio_log.Lines()
    logging.getLogger("asyncio").addHandler(handler)
    yield handler.lines
    logging.getLogger("asyncio").removeHandler(handler)


@pytest.fixture
def kept_open() -> Iterator[None]:
    """Keep the connection, and so the test's transaction, when a request by WSGI ends, as Django's client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def real_hashers(settings: Settings) -> None:
    """Hash passwords with Django's own hashers, as slowly as production does."""
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS


@pytest.fixture
def record(request: pytest.FixtureRequest, file_regression: FileRegressionFixture) -> Recorder:
    """``record(name, text)`` compares a text with lab/<chapter>/recorded/<name>."""
    chapter = request.path.parent.relative_to(Path(__file__).parent).as_posix()
    return Recorder(file_regression, chapter, writes=request.config.getoption("regen_all"))


@pytest.fixture
def session(record: Recorder) -> Callable[..., None]:
    """``session(name, **names)`` runs a recorded Python session again and compares it."""

    def rerun(name: str, **names: Any) -> None:
        transcript = record.transcript(name, ">>>")
        record(name, sessions.rerun(transcript, {"__name__": "__main__", **names}))

    return rerun


@pytest.fixture
def shell(record: Recorder, tmp_path: Path) -> Callable[..., None]:
    """``shell(name, **variables)`` runs a recorded shell session again, in an empty folder, and compares it."""

    def rerun(name: str, **variables: str) -> None:
        transcript = record.transcript(name, "$")
        record(name, shells.rerun(transcript, tmp_path, variables))

    return rerun


class PromptServer(ThreadedWSGIServer):
    """A server that stops at once: Django's looks for the order every half a second, at the end of each test."""

    def serve_forever(self, poll_interval: float = 0.01) -> None:
        """Serve until it is told to stop."""
        super().serve_forever(poll_interval)


@pytest.fixture
def live_server(transactional_db: None) -> Iterator[LiveServer]:
    """A server for this test alone: pytest-django's own keeps the database that its first test had."""
    server = LiveServer("127.0.0.1", start=False)
    server.thread.server_class = PromptServer
    server.start()
    yield server
    server.stop()


@pytest.fixture
def wire(live_server: LiveServer) -> Callable[..., exchanges.Exchange]:
    """``wire(method, path, headers, body)`` sends a request to the lab over a real connection."""

    def send(method: str, path: str, headers: dict[str, str] | None = None, body: str = "") -> exchanges.Exchange:
        return exchanges.exchange(live_server.url, method, path, headers, body)

    return send


@pytest.fixture
def measured(
    request: pytest.FixtureRequest, record: Recorder
) -> Callable[[str, Callable[[], Measurement]], Measurement]:
    """``measured("bulk.json", measure)`` returns a recorded measurement; ``make measure NAME=bulk`` measures anew.

    The test has the mark ``measures("bulk")``, and the names of all its recordings begin so. The picture
    is recorded beside the numbers as bulk.svg, the table as bulk.md. What is stable about the numbers
    is for the test to assert: the next machine is another one.
    """
    mark = request.node.get_closest_marker("measures")
    anew = request.config.getoption("measure") is not None

    def recorded(name: str, measure: Callable[[], Measurement]) -> Measurement:
        assert mark, "a test that measures has the mark measures(…)"
        assert name.startswith(mark.args[0]), f"{name} does not begin with {mark.args[0]}"
        path = record.path(name)
        if anew:
            path.parent.mkdir(exist_ok=True)
            measure().write(path)
        assert path.exists(), f"There is no {path.relative_to(ROOT)} yet: make measure NAME={mark.args[0]}"
        measurement = Measurement.read(path)
        record(path.with_suffix(".svg").name, chart(measurement))
        record(path.with_suffix(".md").name, table(measurement))
        if anew:
            request.config.get_terminal_writer().write(f"\n{measurement.caption()}\n{table(measurement)}")
        return measurement

    return recorded


@pytest.fixture
def stamp(request: pytest.FixtureRequest, record: Recorder, django_db_blocker: DjangoDbBlocker) -> Callable[..., None]:
    """``stamp("versions.md", "Django", …)`` records the versions behind a chapter.

    ``cache=True`` adds Valkey's, ``broker=True`` RabbitMQ's.

    Without ``--regen-all`` it holds the recorded versions to the installed ones.
    """

    def check(name: str, *packages: str, cache: bool = False, broker: bool = False) -> None:
        servers = []
        for database in databases.NAMES if record.writes else ():
            try:
                with django_db_blocker.unblock(), databases.use(database):
                    servers.append(versions.server())
            except Unavailable as reason:
                pytest.skip(str(reason))
        if cache and record.writes:
            request.getfixturevalue("valkey")
            servers.append(versions.cache_server())
        if broker and record.writes:
            servers.append(versions.broker_server(request.getfixturevalue("rabbitmq")))
        today = versions.stamp(*packages, servers=servers, today=datetime.datetime.now(datetime.UTC).date())
        if record.writes:
            record(name, today)
            return
        recorded = versions.LINE.fullmatch(record.path(name).read_text(encoding="utf-8").strip())
        assert recorded, f"{name} is not as the stamp writes it: make record"
        # Another machine may have another Python or server; what the lock pins is the same everywhere.
        pinned = {part for part in today.split(" with ")[1].rstrip(".").split(", ") if part.startswith(packages)}
        assert pinned <= set(recorded["what"].split(", ")), record.message(name, f"this run: {today}")

    return check
