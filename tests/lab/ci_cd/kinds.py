"""A plugin of pytest that counts the tests of each kind, runs a sample of them, and notes how long each took.

``SUITE_REPORT`` names the file that it writes, ``SUITE_SAMPLE`` how many tests of each kind run.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: dict[str, str] = {}
TIMES: dict[str, dict[str, float]] = defaultdict(dict)
FAILED: set[str] = set()
COUNTS: Counter[str] = Counter()


def spread(items: list[pytest.Item], most: int) -> Iterator[pytest.Item]:
    """Yield at most so many items, evenly spread."""
    step = max(len(items) / most, 1)
    for n in range(min(most, len(items))):
        yield items[int(n * step)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count all tests, and keep a sample of each kind."""
    from lab.ci_cd.automated_testing import kind  # it needs Django, which is not set up before

    most = json.loads(os.environ["SUITE_SAMPLE"])
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        groups[kind(item)].append(item)
        KINDS[item.nodeid] = kind(item)
    COUNTS.update({name: len(group) for name, group in groups.items()})
    chosen = {item for name, group in groups.items() for item in spread(group, most.get(name, most[""]))}
    # The blocks of a page share their names: of a page that is chosen all of them run.
    pages = {item.path for item in chosen if item.path.suffix == ".md"}
    items[:] = [item for item in items if item in chosen or item.path in pages]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add what setup, call and teardown of a test took."""
    times = TIMES[KINDS[report.nodeid]]
    times[report.nodeid] = times.get(report.nodeid, 0) + report.duration
    if not report.passed:
        FAILED.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the counts, and the times of the tests that passed, in milliseconds."""
    times = {
        name: [round(1000 * seconds, 3) for test, seconds in tests.items() if test not in FAILED]
        for name, tests in TIMES.items()
    }
    Path(os.environ["SUITE_REPORT"]).write_text(json.dumps({"counts": COUNTS, "times": times}))
