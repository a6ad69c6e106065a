"""An academy for 100,000 learners: what follows from the assumptions, and a machine that dies."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil
import pytest

from lab.ci_cd.deployment import Server
from lab.system_design.load_balancing import balancing
from lab.system_design.worked_design import Academy, estimates
from scripts.pages import ROOT
from scripts.services import free_port
from tests import databases
from tests.lab.production import PRODUCTION
from tests.lab.system_design.behind import Visitor
from tests.lab.system_design.measured import per_process
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from tests.recording.files import Recorder


def row() -> float:
    """Return the bytes of an enrollment, as the page on capacity has measured them."""
    text = (ROOT / "lab/system_design/recorded/capacity_rows.md").read_text(encoding="utf-8")
    found = re.search(r"`academy_enrollment` \| (\d+) ", text)
    assert found
    return float(found[1])


def test_what_100_000_learners_ask_for(record: Recorder) -> None:
    slowest = min(per_process().values())
    found = estimates(Academy(), slowest, row())
    lines = ["| What | How much |", "| --- | ---: |"]
    lines += [
        f"| {what} | {number:,.1f} |" if number % 1 else f"| {what} | {number:,.0f} |" for what, number in found.items()
    ]
    record("worked_design_estimates.md", "\n".join(lines))
    assert found["when grades are published"] > 50 * found["requests a second, on average"]
    assert found["processes for that"] < 10, "two machines are enough"
    assert found["connections to PostgreSQL"] > 100, "a pooler is needed"
    assert found["GB of enrollments in the end"] < 8, "it fits into the memory of a small machine"


def test_ten_times_the_learners() -> None:
    small, large = (estimates(Academy(learners=n), min(per_process().values()), row()) for n in (100_000, 1_000_000))
    assert large["GB of enrollments in the end"] < 8
    few, many = small["processes for that"], large["processes for that"]
    assert 10 * (few - 1) < many <= 10 * few, "ten times as many, before either is rounded up"


def test_the_picture(record: Recorder) -> None:
    source = (ROOT / "lab/system_design/diagrams/worked_design.dot").read_text(encoding="utf-8")
    record(
        "worked_design.svg",
        draw(
            source,
            title="The academy for 100,000 learners",
            description="Learners reach a balancer, which passes requests to two machines. Both use Valkey, "
            "a pooler before PostgreSQL, and object storage for files. Workers use the pooler and the object storage. "
            "PostgreSQL sends its write-ahead log (WAL) to a standby.",
        ),
    )


def ask_ten(url: str) -> list[int]:
    """Ask for the list of courses, ten times."""
    return [Visitor(url).ask("/api/v1/courses/").status for _ in range(10)]


def kill(server: Server) -> None:
    """End a server as a machine that dies: gunicorn's worker goes on for a while when only its parent is killed."""
    parent = psutil.Process(server.process.pid)
    processes = [parent, *parent.children(recursive=True)]
    for process in processes:
        process.kill()
    assert not psutil.wait_procs(processes, timeout=10)[1]


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_machine_dies_and_nobody_who_reads_notices(academy: None, record: Recorder) -> None:
    environ = {
        **PRODUCTION,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": databases.address(),
        "DJANGO_SETTINGS_MODULE": "tests.lab.served",
    }
    with ExitStack() as stack:
        servers = [
            Server(free_port(), "--threads", "4", "--log-level", "critical", "lab.wsgi", **environ) for _ in range(2)
        ]
        for server in servers:
            stack.callback(server.stop)
            assert server.ready(30)
        lines = [
            "| Twenty requests for the list of courses, one of two killed after ten | 200 | lost |",
            "| --- | ---: | ---: |",
        ]
        titles = {"the balancer asks once": False, "it asks the other server for a lost `GET`": True}
        names = [server.name for server in servers]
        balancers = [stack.enter_context(balancing(*names, again=again)) for again in titles.values()]
        seen = [ask_ten(balancer.url) for balancer in balancers]
        kill(servers[0])
        seen = [before + ask_ten(balancer.url) for before, balancer in zip(seen, balancers, strict=True)]
        counts = [(each.count(200), each.count(502)) for each in seen]
        assert counts == [(15, 5), (20, 0)]
        lines += [f"| {title} | {good} | {lost} |" for title, (good, lost) in zip(titles, counts, strict=True)]
    record("worked_design_killed.md", "\n".join(lines))
