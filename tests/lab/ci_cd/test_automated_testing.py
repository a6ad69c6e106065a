"""A bug for each level: the level below does not see it, this one does. And what this suite is made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import pytest
from django.db import DataError, transaction
from django.http import HttpRequest

from lab.academy.models import Enrollment, Learner
from lab.ci_cd import automated_testing, automated_testing_samples
from lab.ci_cd.automated_testing import kind, seats, seats_left, successful
from lab.ci_cd.automated_testing_samples import wrong_open_to_all, wrong_seats_left, wrong_successful
from lab.ci_cd.test_data import CourseFactory, EnrollmentFactory, LearnerFactory
from scripts import browser
from scripts.pages import ROOT
from tests.lab.ci_cd.pytest_run import quoted, status
from tests.lab.production import kept
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django import Settings

    from tests.recording.files import Recorder

KINDS = [
    "nothing but Python",
    "a database in memory",
    "a database or cache server",
    "another program",
    "a browser",
    "blocks of a page",
]

# What the machine is told


def test_the_exit_status(tmp_path: Path, record: Recorder) -> None:
    code = quoted("lab/ci_cd/automated_testing_samples.py", "wrong_seats_left")
    test = "\n\ndef test_an_overbooked_course():\n    assert seats_left(30, 31) == 0\n"
    mended = quoted("lab/ci_cd/automated_testing.py", "seats_left")
    lines = []
    for shown, text, command, expected in (
        ("# as it is", code.replace("wrong_", ""), "pytest -q --tb=line test_seats.py", 1),
        ("# mended", mended, "pytest -q --tb=line test_seats.py", 0),
        ("# a misspelled name", mended, "pytest -q --tb=line test_seats.py -k overboked", 5),
        ("# a misspelled file", mended, "pytest -q --tb=line test_seat.py", 4),
    ):
        (tmp_path / "test_seats.py").write_text(text + test)
        found, printed = status(tmp_path, command)
        assert found == expected
        last = [line for line in printed.splitlines() if line.startswith(("E  ", "ERROR")) or line.endswith("in …s")]
        lines += [shown, f"$ {command}; echo $?", *last, str(found)]
    record("automated_testing_status.console", "\n".join(lines))


def test_a_skipped_test_says_why(tmp_path: Path, record: Recorder) -> None:
    (tmp_path / "test_load.py").write_text(
        "import shutil\n\nimport pytest\n\n\n"
        "@pytest.mark.skipif(not shutil.which('no-such-wrk'), reason='There is no wrk: apt-get install wrk')\n"
        "def test_load():\n    raise AssertionError\n\n\ndef test_other():\n    pass\n"
    )
    found, text = status(tmp_path, "pytest -q -rs")
    assert found == 0
    record("automated_testing_skip.console", f"$ pytest -q -rs\n{text}")


def test_what_make_check_runs(record: Recorder) -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "check", "BIN=bin"],
        cwd=ROOT,
        env=kept(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.replace("bin/", "").rstrip() for line in done.stdout.splitlines() if line.startswith("bin/")]
    assert "pytest" in lines[-1]
    assert lines.index("mypy --no-error-summary") < len(lines) - 1
    record("automated_testing_check.txt", "\n".join(lines))


# A bug for each level


@pytest.mark.wrong("lab/ci_cd/automated_testing_samples.py:wrong_seats_left")
def test_a_function_alone() -> None:
    assert wrong_seats_left(30, 29) == seats_left(30, 29) == 1
    assert (wrong_seats_left(30, 31), seats_left(30, 31)) == (-1, 0)


@pytest.mark.wrong("lab/ci_cd/automated_testing_samples.py:wrong_successful")
def test_a_query_needs_rows(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        """A mock of the table: it answers what the test told it."""

        def filter(self, **_: object) -> Answer:
            return self

        def count(self) -> int:
            return 1

    with monkeypatch.context() as patched:
        patched.setattr(automated_testing_samples, "Learner", type("Mock", (), {"objects": Answer()}))
        assert wrong_successful() == 1  # the mock sees nothing
    ama = LearnerFactory.create()
    for grade in (70, 80):
        EnrollmentFactory.create(learner=ama, grade=grade)
    assert (wrong_successful(), successful()) == (2, 1)
    assert (Learner.objects.count(), Enrollment.objects.count()) == (1, 2)


@pytest.mark.databases
@pytest.mark.wrong("lab/ci_cd/automated_testing_samples.py:wrong_open_to_all")
def test_a_number_needs_the_database_of_production(db: None, database: str) -> None:
    course = CourseFactory.create()
    if database == "sqlite":
        wrong_open_to_all(course)
        course.refresh_from_db()
        assert course.seats == 100_000
    else:
        with pytest.raises(DataError, match=r"(?i)out of range"), transaction.atomic():
            wrong_open_to_all(course)


@pytest.mark.wrong("lab/ci_cd/automated_testing_samples.py:wrong_urls")
def test_a_route_needs_a_request(db: None, settings: Settings, client: Any, people: Any) -> None:
    assert seats(HttpRequest(), "python").status_code == 200
    client.force_login(people.ama)
    settings.SECURE_SSL_REDIRECT = False
    settings.ROOT_URLCONF = "lab.ci_cd.automated_testing_samples"
    assert client.get("/seats/python/").status_code == 404
    settings.ROOT_URLCONF = "lab.ci_cd.automated_testing"
    assert client.get("/seats/python/").status_code == 200


CLICK = """
import sys
from scripts.browser import chromium
with chromium() as browser:
    page = browser.new_page()
    for form in sys.argv[1:]:
        page.set_content(form)
        page.evaluate("() => { sent = 0; document.forms[0].onsubmit = () => { sent += 1; return false } }")
        page.get_by_role("button", name="Join").click()
        print(page.evaluate("sent"))
"""


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.wrong("lab/ci_cd/automated_testing_samples.py:wrong_form")
def test_a_button_needs_a_browser() -> None:
    if browser.find() is None:
        pytest.skip("There is no Chromium to click with: make test installs one")
    done = subprocess.run(  # in a process of its own: a started browser upsets what Django says of async code
        [sys.executable, "-c", CLICK, automated_testing_samples.FORM, automated_testing.FORM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "1"]


# What this suite is made of


class Item:
    """As much of a test as ``kind`` asks for."""

    def __init__(self, nodeid: str, marks: tuple[str, ...] = (), fixtures: tuple[str, ...] = ()) -> None:
        self.nodeid, self.marks, self.fixturenames = nodeid, marks, fixtures

    def iter_markers(self) -> list[pytest.Mark]:
        """Return the marks of these names."""
        return [getattr(pytest.mark, name).mark for name in self.marks]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Item("tests/a.py"), KINDS[0]),
        (Item("tests/a.py", fixtures=("db",)), KINDS[1]),
        (Item("tests/a.py", ("django_db",)), KINDS[1]),
        (Item("tests/a.py", ("services",), ("db",)), KINDS[2]),
        (Item("tests/a.py", ("slow",), ("db",)), KINDS[3]),
        (Item("tests/a.py", ("browser", "slow")), KINDS[4]),
        (Item("docs/a.md"), KINDS[5]),
    ],
)
def test_the_kind_of_a_test(item: Item, expected: str) -> None:
    assert kind(cast("pytest.Item", item)) == expected


def suite(report: Path, sample: dict[str, int], *words: str) -> dict[str, Any]:
    """Count the tests of each kind, run some of them, and return both."""
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.lab.ci_cd.kinds", "-p", "no:cacheprovider", *words],
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))},
            "SUITE_REPORT": str(report),
            "SUITE_SAMPLE": json.dumps(sample),
        },
        capture_output=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(report.read_text())
    return found


@pytest.mark.slow
def test_a_part_of_the_suite(tmp_path: Path) -> None:
    files = ("tests/tools/test_glossary.py", "docs/technologies/ci-cd/flaky-tests.md")
    found = suite(tmp_path / "report.json", {"": 1}, *files, "-m", "not slow")
    assert set(found["counts"]) == set(found["times"]) == {KINDS[0], KINDS[5]}
    assert len(found["times"][KINDS[0]]) == 1 < len(found["times"][KINDS[5]])


@cache
def whole(report: Path) -> dict[str, Any]:
    """Count all tests and run a sample."""
    return suite(report, {"": 40, "another program": 10, "a browser": 10, "blocks of a page": 8})


def used() -> dict[str, str]:
    """Return the versions of what was measured."""
    return {"pytest": version("pytest"), "Django": version("django"), "Playwright": version("playwright")}


def measure_counts(report: Path) -> Measurement:
    """Return how many tests there are of each kind."""
    counts = whole(report)["counts"]
    return Measurement(
        title="The tests of this repository",
        description="More than half of the tests need no server; fewer than one in ten needs a browser.",
        x="the test needs",
        y="tests",
        versions=used(),
        bars={name: counts[name] for name in KINDS},
    )


def measure_times(report: Path) -> Measurement:
    """Return the median time of a test of each kind."""
    times = whole(report)["times"]
    return Measurement(
        title="How long one test takes",
        description="Blocks of pages and tests of pure Python are quick; "
        "a browser or another program takes many times as long.",
        x="the test needs",
        y="median time of a test (ms)",
        versions=used(),
        bars={name: round(median(times[name]), 1) for name in KINDS},
    )


@pytest.mark.measures("suite")
@pytest.mark.timeout(900)
def test_what_the_suite_is_made_of(
    measured: Callable[[str, Callable[[], Measurement]], Measurement], tmp_path: Path
) -> None:
    counts = measured("suite.json", lambda: measure_counts(tmp_path / "report.json")).bars
    times = measured("suite_time.json", lambda: measure_times(tmp_path / "report.json")).bars
    assert set(counts) == set(times) == set(KINDS)
    servers = counts["a database or cache server"]
    assert max(counts.values()) == servers < sum(counts.values()) / 2
    assert counts["a browser"] < sum(counts.values()) / 10
    for dear in ("another program", "a browser"):
        assert times[dear] > 30 * times["nothing but Python"]
    assert times["a database or cache server"] > times["nothing but Python"]
