"""The arithmetic of capacity, with what other chapters have measured, and what a real server allows."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest
from django.db import connection

from lab.academy.models import Certificate, Enrollment, Learner
from lab.academy.seed import seed
from lab.system_design.capacity import connections, gigabytes, processes, under_way, waiting, wrong_processes
from tests import databases
from tests.lab.system_design.measured import per_process, read

if TYPE_CHECKING:
    from django.db.models import Model

    from tests.recording.files import Recorder


def test_littles_law_holds_where_it_was_measured() -> None:
    """Sixteen threads that wait 0.1 s each: the recorded rate times the time is what fits under way."""
    waited = read("asynchronous/recorded/when_to_use_waiting.json")
    rate = dict(waited.lines["gunicorn, 16 threads"])[64]
    assert 13 < under_way(rate, 0.1) < 16.5
    assert under_way(50, 0.4) == 20


def test_threads_do_not_speed_up_work_in_the_database() -> None:
    lines = read("asynchronous/recorded/when_to_use_database.json").lines
    assert dict(lines["gunicorn, 16 threads"])[16] < 1.2 * dict(lines["gunicorn, 1 thread"])[16]


def test_processes_for_a_rate(record: Recorder) -> None:
    lines = [
        "| Requests a second | " + " | ".join(per_process()) + " |",
        "| ---: |" + " ---: |" * len(per_process()),
        "| one process answered | " + " | ".join(f"{rate:,.0f}" for rate in per_process().values()) + " |",
    ]
    for rate in (50, 500, 5000):
        needed = [processes(rate, one) for one in per_process().values()]
        assert all(
            rate / (one * number) > 0.3 or number == 1
            for one, number in zip(per_process().values(), needed, strict=True)
        )
        lines.append(f"| {rate:,} | " + " | ".join(f"{number:,}" for number in needed) + " |")
    catalog, made, kept = per_process().values()
    assert processes(5000, kept) < processes(5000, made) <= processes(5000, catalog)
    record("capacity_processes.md", "\n".join(lines))


@pytest.mark.wrong("lab/system_design/capacity.py:wrong_processes")
def test_a_process_that_is_busy_all_the_time_makes_all_wait(record: Recorder) -> None:
    lines = ["| Busy | Average wait, in times of the work | Computed: busy / (1 - busy) |", "| ---: | ---: | ---: |"]
    for busy in (0.5, 0.6, 0.8, 0.9, 0.95):
        found, exact = waiting(busy), busy / (1 - busy)
        assert abs(found - exact) < 0.2 * exact
        lines.append(f"| {busy:.0%} | {found:.1f} | {exact:.1f} |")
    record("capacity_waiting.md", "\n".join(lines))
    per = 100.0
    assert wrong_processes(95, per) == 1
    assert waiting(95 / per) > 10, "one is enough, and everybody waits"
    assert processes(95, per) == 2
    assert waiting(95 / per / 2) < 2


@pytest.mark.databases("postgresql")
def test_connections_end_before_processes_do(db: None, record: Recorder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_connections')::int")
        (most,) = cursor.fetchone()
    assert most == 100, "the default"
    assert connections(6, 16) < most < connections(7, 16)
    address = databases.address().replace("postgres:", "postgresql:")

    def open_all(stack: ExitStack) -> None:
        for _ in range(most + 1):
            stack.enter_context(psycopg.connect(address))

    with ExitStack() as stack, pytest.raises(psycopg.OperationalError) as refused:
        open_all(stack)
    said = str(refused.value)
    line = said[said.index("FATAL") :].strip().splitlines()[0]
    record("capacity_full.txt", line)


@pytest.mark.databases("postgresql")
def test_what_a_row_takes(db: None, record: Recorder) -> None:
    seed(courses=20, learners=2000, per_learner=5)
    lines = ["| Table | Bytes a row, with its indexes | Ten million rows |", "| --- | ---: | ---: |"]
    kinds: tuple[type[Model], ...] = (Learner, Enrollment, Certificate)
    for model in kinds:
        table = model._meta.db_table
        with connection.cursor() as cursor:  # a copy: the table itself keeps the rows of former tests
            cursor.execute(f"CREATE TEMP TABLE copy (LIKE {table} INCLUDING INDEXES)")
            cursor.execute(f"INSERT INTO copy SELECT * FROM {table}")  # noqa: S608  (a table of the lab)
            cursor.execute("SELECT pg_total_relation_size('copy')::float / count(*) FROM copy")
            each = round(cursor.fetchone()[0], -1)
            cursor.execute("DROP TABLE copy")
        assert 50 < each < 500
        lines.append(f"| `{table}` | {each:.0f} | {gigabytes(1e7, each):.1f} GB |")
    record("capacity_rows.md", "\n".join(lines))
