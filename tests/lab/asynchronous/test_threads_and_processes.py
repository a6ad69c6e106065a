"""Who gives the lock away, who loses an update, whose connection is whose, and what workers cost."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import multiprocessing
import os
import pickle
import platform
import re
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import TYPE_CHECKING

import django
import psutil
import pytest
from django.db import close_old_connections, connection, connections
from django.db.backends.signals import connection_created

from lab.academy.models import Learner
from lab.asynchronous import threads_and_processes_samples as samples
from lab.asynchronous.threads_and_processes import (
    Visits,
    count,
    count_apart,
    gives_way,
    name_and_close,
    name_of,
    names,
    processes,
    ranking,
)
from lab.asynchronous.upstream import ask, running
from scripts.pages import ROOT
from tests import databases
from tests.lab.production import PRODUCTION
from tests.lab.serving import GUNICORN, UVICORN, serve
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from django.test import RequestFactory

    from tests.recording.files import Recorder

    Measured = Callable[[str, Callable[[], Measurement]], Measurement]

TOGETHER = pytest.mark.django_db(transaction=True)
# Since Python 3.12 a fork beside other threads warns; the tests have threads of their own servers.
FORKS = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
PATIENCE = 30  # seconds
PAUSE = 0.5  # seconds that one thread waits for the other, which a lock keeps away


# The lock


CONTENT = bytes(10_000_000)


def digest() -> str:
    """Compute in C, with the lock given away."""
    return hashlib.sha256(CONTENT).hexdigest()


def many_small() -> None:
    """Hash what is too small to give the lock away for."""
    for _ in range(20_000):
        hashlib.sha256(bytes(2047)).digest()


def query() -> None:
    """Wait for the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.05)")


@pytest.mark.databases("postgresql")
@TOGETHER
def test_who_gives_the_lock_away(record: Recorder) -> None:
    rows = [{"name": "Ama", "grade": number} for number in range(20_000)]
    text = "a" * 200_000
    with running() as upstream:
        url = f"{upstream.url}/50/grade"
        works: dict[str, Callable[[], object]] = {
            "a loop in Python": ranking,
            "`json.dumps` of 20,000 objects": partial(json.dumps, rows),
            "`sorted` of a million numbers": lambda: sorted(range(1_000_000, 0, -1)),
            "`re.findall` in 200,000 letters": partial(re.findall, "a", text),
            "`sha256` of 2,047 bytes, 20,000 times": many_small,
            "`sha256` of 50 MB": partial(hashlib.sha256, bytes(50_000_000)),
            "`pbkdf2_hmac`, a password": partial(hashlib.pbkdf2_hmac, "sha256", b"secret", b"salt", 100_000),
            "`zlib.compress` of 10 MB": partial(zlib.compress, bytes(10_000_000)),
            "a query on PostgreSQL": query,
            "a request to another service": partial(ask, url),
        }
        query()  # connects
        lines = [f"| {name} | {'yes' if gives_way(work) else 'no'} |" for name, work in works.items()]
    assert [line.endswith("yes |") for line in lines] == [False] * 5 + [True] * 5
    record("threads_and_processes_lock.md", "\n".join(["| The work | Gives the lock away |", "| --- | --- |", *lines]))


def test_hashing_gives_way_from_2048_bytes_on() -> None:
    def work(size: int) -> None:
        data = bytes(size)
        for _ in range(20_000):
            hashlib.sha256(data)

    assert not gives_way(partial(work, 2047))
    assert gives_way(partial(work, 2048))


# The race


@contextmanager
def switching(seconds: float) -> Iterator[None]:
    """Let threads be switched that often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def both(work: Callable[[], object]) -> None:
    """Call a function in two threads at once."""
    with ThreadPoolExecutor(2) as pool:
        for call in [pool.submit(work), pool.submit(work)]:
            call.result(PATIENCE)


def test_plus_one_on_an_attribute_loses_nothing_here() -> None:
    """The example of every tutorial: CPython with a GIL, from 3.10 on, does not switch within the line."""

    class Counter:
        total = 0

    def add() -> None:
        for _ in range(200_000):
            Counter.total += 1

    with switching(1e-6):
        both(add)
    assert Counter.total == 400_000


def add_two(visits: samples.Visits | Visits, patience: float) -> int:
    """Let two threads count a visit, each held after its reading until the other has read too, if it can."""
    meeting, read = threading.Barrier(2), visits.of

    def of(course: str) -> int:
        seen = read(course)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(patience)
        return seen

    visits.of = of  # type: ignore[method-assign]
    both(partial(visits.add, "python"))
    return read("python")


@pytest.mark.wrong("lab/asynchronous/threads_and_processes_samples.py:wrong_visits")
def test_a_call_between_reading_and_writing_loses_an_update() -> None:
    assert add_two(samples.Visits(), PATIENCE) == 1
    assert add_two(Visits(), PAUSE) == 2


@pytest.mark.wrong("lab/asynchronous/threads_and_processes_samples.py:wrong_visits")
def test_it_loses_without_help_too() -> None:
    visits = samples.Visits()

    def add() -> None:
        for _ in range(50_000):
            visits.add("python")

    with switching(1e-6):
        for _ in range(20):
            visits.counts.clear()
            both(add)
            if visits.of("python") < 100_000:
                break
    assert visits.of("python") < 100_000


# Connections


def open_connections() -> int:
    """Return how many connections the server has to this database, beside the one that asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def settled(expected: int) -> int:
    """Return the number of connections, when it is what is expected or after some seconds."""
    for _ in range(100):
        if open_connections() == expected:
            break
        time.sleep(0.02)
    return open_connections()


@pytest.fixture
def collect() -> Iterator[Callable[[], None]]:
    """Collect garbage when the test says so, and not before; psycopg warns of connections that are lost."""

    def once() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    gc.collect()
    gc.disable()
    yield once
    gc.enable()


@contextmanager
def lookups(look: Callable[[ThreadPoolExecutor, list[int]], list[str]], threads: int) -> Iterator[ThreadPoolExecutor]:
    """Look learners up in a pool, one in each thread, and go on while the pool is there."""
    meeting = threading.Barrier(threads)

    def meet(**_: object) -> None:
        meeting.wait(PATIENCE)  # so that no thread takes two of them

    pks = list(Learner.objects.values_list("pk", flat=True)[:threads])
    with ThreadPoolExecutor(threads) as pool:
        connection_created.connect(meet)
        try:
            assert len(look(pool, pks)) == threads
        finally:
            connection_created.disconnect(meet)
        yield pool


@pytest.mark.wrong("lab/asynchronous/threads_and_processes_samples.py:wrong_names")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_thread_keeps_its_connection(academy: None, record: Recorder, collect: Callable[[], None]) -> None:
    before = open_connections()
    with lookups(samples.wrong_names, 3):
        kept = open_connections() - before
        close_old_connections()  # as Django does at the end of a request, in the thread of the request
        assert open_connections() - before == 3
    ended = open_connections() - before
    collect()
    collected = settled(before) - before
    with lookups(names, 3):
        closed = settled(before) - before
    assert (kept, ended, collected, closed) == (3, 3, 0, 0)
    record(
        "threads_and_processes_connections.md",
        "\n".join(
            [
                "| Three threads have looked up a learner each | Connections left |",
                "| --- | --- |",
                f"| `wrong_names`, while the pool is there | {kept} |",
                f"| `wrong_names`, when its threads have ended | {ended} |",
                f"| `wrong_names`, after a garbage collection | {collected} |",
                f"| `names`, while the pool is there | {closed} |",
            ]
        ),
    )


def test_a_name(academy: None) -> None:
    assert name_of(1) == "Ama"


# A fork


@FORKS
@pytest.mark.wrong("lab/asynchronous/threads_and_processes_samples.py:wrong_count_apart")
@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_child_closes_the_connection_of_its_parent(academy: None, session: Callable[..., None]) -> None:
    session(
        "threads_and_processes_count.pycon",
        Learner=Learner,
        connection=connection,
        count_apart=count_apart,
        wrong_count_apart=samples.wrong_count_apart,
    )


def test_counting_here(academy: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "close", lambda: None)
    count()
    assert capsys.readouterr().out == "10\n"


def slow_name(name: str) -> None:
    """Ask for a name, of a server that takes its time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM academy_learner, pg_sleep(1) WHERE name = %s", [name])


@FORKS
@pytest.mark.databases("postgresql")
@TOGETHER
def test_an_answer_goes_to_another_process(academy: None) -> None:
    """A child is stopped between its question and the answer, and the answer is left in the shared socket."""
    learners = Learner.objects.values_list("name", flat=True)
    watching = connections.create_connection("default")
    try:
        assert learners.get(name="Esi") == "Esi"
        child = get_context("fork").Process(target=slow_name, args=("Kofi",))
        child.start()
        with watching.cursor() as cursor:
            for _ in range(500):
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                    " AND datname = current_database()"
                )
                if cursor.fetchone() == (1,):
                    break
                time.sleep(0.01)
        child.kill()
        child.join()
        answer = learners.get(name="Ama")
    finally:
        watching.close()
        connection.close()
    assert answer == "Kofi"


@FORKS
def test_a_lock_that_another_thread_held_is_never_released_in_the_child() -> None:
    lock, holding, done = threading.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            holding.set()
            done.wait(PATIENCE)

    def child() -> None:
        os._exit(0 if lock.acquire(timeout=0.3) else 3)

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(PATIENCE)
    process = get_context("fork").Process(target=child)
    process.start()
    done.set()
    holder.join()
    process.join()
    assert process.exitcode == 3


def test_how_processes_start() -> None:
    """The default of Python on Linux."""
    default = multiprocessing.get_start_method()
    assert default == ("forkserver" if sys.version_info >= (3, 14) else "fork")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new process finds in its environment: the settings of a server on this test's database."""
    address = databases.address()
    settings = {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "tests.lab.served", "ALLOWED_HOSTS": "127.0.0.1"}
    for name, value in (PRODUCTION | settings).items():
        monkeypatch.setenv(name, value)


@pytest.mark.databases("postgresql")
@TOGETHER
def test_a_process_that_begins_anew_has_its_own_connection(academy: None, served: None) -> None:
    Learner.objects.count()
    with processes(1) as pool:
        assert pool.submit(name_and_close, 1).result(PATIENCE) == "Ama"
        assert pool.submit(here).result(PATIENCE)[0] != os.getpid()
        assert run(pool, nothing, 100) > 3 * run(None, nothing, 100)
    assert Learner.objects.count() == 10


def test_what_does_not_fit_into_a_pickle(academy: None, rf: RequestFactory) -> None:
    assert pickle.loads(pickle.dumps(Learner.objects.get(pk=1))).name == "Ama"  # noqa: S301  (our own)
    for thing in (lambda: None, threading.Lock(), connection.cursor()):
        with pytest.raises((pickle.PicklingError, TypeError, AttributeError)):
            pickle.dumps(thing)


# Servers


def most(expected: int, *command: str, path: str = "held", clients: int = 8) -> int:
    """Return how many of eight requests a server has under way at once, when the expected ones are there."""
    with (
        running() as upstream,
        serve(*command, urls="lab.asynchronous.threads_and_processes", UPSTREAM_URL=upstream.url) as url,
        ThreadPoolExecutor(clients) as pool,
    ):
        calls = [pool.submit(ask, f"{url}/{path}/") for _ in range(clients)]
        try:
            upstream.arrived(expected)
            time.sleep(0.3)  # more would come now
            return len(upstream.seen)
        finally:
            upstream.release("grades")
            for call in calls:
                call.result(PATIENCE)


@pytest.mark.databases("postgresql")
@TOGETHER
def test_how_many_requests_a_server_has_under_way(record: Recorder) -> None:
    with ThreadPoolExecutor() as pool:
        servers = {
            "`gunicorn`": pool.submit(most, 1, *GUNICORN),
            "`gunicorn --workers 2`": pool.submit(most, 2, *GUNICORN, "--workers", "2"),
            "`gunicorn --threads 3`": pool.submit(most, 3, *GUNICORN, "--threads", "3"),
            "`uvicorn`, async view": pool.submit(most, 8, *UVICORN, path="aheld"),
        }
    found = {name: server.result() for name, server in servers.items()}
    assert list(found.values()) == [1, 2, 3, 8]
    lines = [f"| {name} | {number} |" for name, number in found.items()]
    record("threads_and_processes_servers.md", "\n".join(["| Server | Under way, of eight |", "| --- | --- |", *lines]))


# Measured


def timed(call: Callable[[], object]) -> float:
    """Return how many milliseconds a call takes."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def run(pool: Executor | None, work: Callable[[], object], tasks: int) -> float:
    """Return how many milliseconds some calls take, in a pool or one after another."""
    if pool is None:
        return timed(lambda: [work() for _ in range(tasks)])
    return timed(lambda: [call.result() for call in [pool.submit(work) for _ in range(tasks)]])


def here() -> tuple[int, int]:
    """Return the process and the thread that serve a call, after a moment in which others are served elsewhere."""
    time.sleep(0.05)
    return os.getpid(), threading.get_ident()


def begin(pool: Executor, workers: int) -> None:
    """Return when so many workers of a pool have begun and serve calls."""
    while len({call.result() for call in [pool.submit(here) for _ in range(workers)]}) < workers:
        pass


def gain(
    work: Callable[[], object], pool_of: Callable[[int], Executor], workers: list[int], rounds: int
) -> list[tuple[float, float]]:
    """Return how many times as fast eight calls are with so many workers as in a loop; loop and pools take turns."""
    with ExitStack() as using:
        pools: dict[int, Executor | None] = {0: None}
        for number in workers:
            pool = pools[number] = using.enter_context(pool_of(number))
            begin(pool, number)
        times: dict[int, list[float]] = {number: [] for number in pools}
        for turn in range(rounds + 1):
            for number, shared in pools.items():
                taken = run(shared, work, 8)
                if turn:  # the first warms up
                    times[number].append(taken)
    return [(number, round(median(times[0]) / median(times[number]), 2)) for number in workers]


def speedup(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return what workers gain, by the kind of work."""
    workers = [1, 2, 4, 8]
    with running() as upstream:
        waiting = partial(ask, f"{upstream.url}/20/grade")
        return {
            "Python code, threads": gain(ranking, ThreadPoolExecutor, workers, rounds),
            "Python code, processes": gain(ranking, processes, workers, rounds),
            "hashing, threads": gain(digest, ThreadPoolExecutor, workers, rounds),
            "waiting, threads": gain(waiting, ThreadPoolExecutor, workers, rounds),
        }


WORKERS = ("a coroutine", "a thread", "a process, forked", "a process, anew, with Django")


def begin_and_end(context: str, target: Callable[[], object]) -> None:
    """Start a process and wait for its end."""
    process = get_context(context).Process(target=target)  # type: ignore[attr-defined]
    process.start()
    process.join()


def nothing() -> None:
    """Do nothing."""


def starts(rounds: int) -> dict[str, float]:
    """Return how many milliseconds it takes to start a worker that does nothing, and to see it end."""

    async def coroutines() -> float:
        async def idle() -> None:
            pass

        start = time.perf_counter()
        for _ in range(100):
            await asyncio.create_task(idle())
        return 10 * (time.perf_counter() - start)

    def threads() -> None:
        for _ in range(100):
            worker = threading.Thread(target=nothing)
            worker.start()
            worker.join()

    taken: dict[str, list[float]] = {name: [] for name in WORKERS}
    for _ in range(rounds):
        values = (
            asyncio.run(coroutines()),
            timed(threads) / 100,
            timed(partial(begin_and_end, "fork", nothing)),
            timed(partial(begin_and_end, "spawn", django.setup)),
        )
        for seen, value in zip(taken.values(), values, strict=True):
            seen.append(value)
    return {name: round(median(seen), 3) for name, seen in taken.items()}


def weigh() -> dict[str, float]:
    """Return how many kilobytes a worker that waits takes, in a process that has loaded Django."""
    me = psutil.Process()

    async def coroutines(number: int) -> float:
        async def wait(gate: asyncio.Event) -> None:
            await gate.wait()

        gate = asyncio.Event()
        before = me.memory_full_info().uss
        tasks = [asyncio.create_task(wait(gate)) for _ in range(number)]
        await asyncio.sleep(0.01)
        used = me.memory_full_info().uss - before
        gate.set()
        await asyncio.gather(*tasks)
        return used / number / 1024

    def threads(number: int) -> float:
        gate = threading.Event()
        before = me.memory_full_info().uss
        waiting = [threading.Thread(target=gate.wait) for _ in range(number)]
        for thread in waiting:
            thread.start()
        used = me.memory_full_info().uss - before
        gate.set()
        for thread in waiting:
            thread.join()
        return used / number / 1024

    def process(pool: ProcessPoolExecutor) -> float:
        with pool:
            worker = psutil.Process(pool.submit(os.getpid).result())
            return float(worker.memory_full_info().uss / 1024)

    forked = ProcessPoolExecutor(1, get_context("fork"))
    values = (asyncio.run(coroutines(10_000)), threads(500), process(forked), process(processes(1)))
    return {name: round(value, 1) for name, value in zip(WORKERS, values, strict=True)}


def handing_over(sizes: list[int], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return how many milliseconds it takes to have a list of rows measured by a worker."""
    lines: dict[str, list[tuple[float, float]]] = {"to a thread": [], "to a process": []}
    with ThreadPoolExecutor(1) as threads, processes(1) as pool:
        for size in sizes:
            rows = [{"id": number, "name": "Ama", "grade": 1.5 * number} for number in range(size)]
            for name, workers in zip(lines, (threads, pool), strict=True):
                times = [timed(lambda: workers.submit(len, rows).result()) for _ in range(rounds + 2)]  # noqa: B023
                lines[name].append((size, round(median(times[2:]), 3)))
    return lines


def weighed() -> dict[str, float]:
    """Return the memory of workers, measured in a process that has done nothing else."""
    code = (
        "import django, json; django.setup();"
        "from tests.lab.asynchronous.test_threads_and_processes import weigh; print(json.dumps(weigh()))"
    )
    text = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(text))


PYTHON = {"Python": platform.python_version()}
VERSIONS = {**PYTHON, "Django": django.__version__, "psutil": psutil.__version__}


@FORKS
@pytest.mark.measures("threads_and_processes")
def test_what_workers_gain_and_what_they_cost(measured: Measured) -> None:
    gained = measured(
        "threads_and_processes.json",
        lambda: Measurement(
            title="Eight calls, shared out",
            description="Waiting gains from each thread, hashing up to the cores, Python code only from processes.",
            x="workers (threads or processes)",
            y="times as fast as a loop",
            versions=PYTHON,
            lines=speedup(15),
            log_x=True,
            log_y=True,
        ),
    ).lines
    begun = measured(
        "threads_and_processes_start.json",
        lambda: Measurement(
            title="To start a worker that does nothing",
            description="A coroutine and a thread begin at once, a process takes long, with Django longest.",
            x="the worker",
            y="start and end (ms)",
            versions=VERSIONS,
            bars=starts(7),
        ),
    ).bars
    weight = measured(
        "threads_and_processes_memory.json",
        lambda: Measurement(
            title="The memory of a worker that waits",
            description="A coroutine and a thread take kilobytes, a process with Django tens of megabytes.",
            x="the worker",
            y="memory of its own (KB)",
            versions=VERSIONS,
            bars=weighed(),
        ),
    ).bars
    handed = measured(
        "threads_and_processes_pickling.json",
        lambda: Measurement(
            title="A list of rows for a worker",
            description="A thread gets a list at once whatever its length; for a process the time grows with it.",
            x="rows in the list",
            y="until the answer (ms)",
            versions=PYTHON,
            lines=handing_over([1, 10, 100, 1_000, 10_000, 100_000], 15),
            log_x=True,
            log_y=True,
        ),
    ).lines
    # Measured on two cores.
    assert max(factor for _, factor in gained["Python code, threads"]) < 1.15
    assert 1.3 < max(factor for _, factor in gained["Python code, processes"]) < 2.5
    assert 1.3 < max(factor for _, factor in gained["hashing, threads"]) < 2.5
    alone, two, four, eight = (factor for _, factor in gained["waiting, threads"])
    assert 3.375 * alone < 2.25 * two < 1.5 * four < eight
    for bars in (begun, weight):
        coroutine, thread, forked, anew = (bars[name] for name in WORKERS)
        assert coroutine < thread
        assert 10 * thread < forked < anew
    assert handed["to a process"][0][1] > handed["to a thread"][0][1]
    assert handed["to a process"][-1][1] > 100 * handed["to a thread"][-1][1]
    assert handed["to a process"][-1][1] > 10 * handed["to a process"][0][1]
    # The experiments run, small; what holds on a busy machine.
    with running() as upstream:
        assert gain(partial(ask, f"{upstream.url}/20/grade"), ThreadPoolExecutor, [8], 3)[0][1] > 2
    begun = starts(1)
    assert 5 * begun["a thread"] < begun["a process, anew, with Django"]
    weight = weighed()
    assert 10 * weight["a thread"] < weight["a process, anew, with Django"]
    handed = handing_over([1, 50_000], 1)
    assert handed["to a process"][1][1] > 3 * handed["to a thread"][1][1]
