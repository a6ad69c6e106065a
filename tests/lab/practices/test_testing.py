"""One bug, and where it is met: by a type checker, three kinds of tests, or nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

import pytest
from django.test import Client

from lab.practices.testing import best, passed, read_grades, wrong_best, wrong_read_grades
from scripts import browser
from scripts.pages import ROOT
from tests.lab.ci_cd.pytest_run import quoted, tidy
from tests.lab.production import kept
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytest_django import Settings

    from tests.recording.files import Recorder

# Which functions of the page's code run in each test, also in the thread of a server, is written to a file.
CONFTEST = """\
import json
import os
import sys
import threading

seen = {}
current = set()


def profile(frame, event, arg):
    code = frame.f_code
    if event == "call" and "practices/testing" in code.co_filename and code.co_name[0] != "<":
        current.add(code.co_name)


def pytest_runtest_call(item):
    global current
    current = set()
    seen[item.path.stem] = current
    threading.setprofile(profile)
    sys.setprofile(profile)


def pytest_runtest_teardown():
    threading.setprofile(None)
    sys.setprofile(None)


def pytest_sessionfinish():
    with open(os.environ["SEEN"], "w") as file:
        json.dump({name: sorted(functions) for name, functions in seen.items()}, file)
"""
UNIT = """\
from lab.practices.testing import wrong_read_grades


def test_a_grade_is_a_number():
    assert wrong_read_grades("Ama,100") == {"Ama": 100}
"""
REQUEST = """\
import pytest

from lab.academy.seed import seed


@pytest.mark.django_db
@pytest.mark.urls("lab.practices.testing_samples")
def test_the_best_is_announced(client):
    seed(courses=3, learners=3)
    answer = client.post("/wrong/python/", {"grades": "Ama,100\\nKofi,85"})
    assert answer.content.decode() == "<p>Best grade: Ama</p>"
"""
BROWSER = """\
import pytest

from lab.academy.seed import seed
from scripts.browser import chromium


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("lab.practices.testing_samples")
def test_the_best_is_announced(live_server):
    seed(courses=3, learners=3)
    with chromium() as started:
        page = started.new_page()
        page.goto(live_server.url + "/wrong/python/")
        page.fill("textarea", "Ama,100\\nKofi,85")
        page.click("button")
        assert page.inner_text("p") == "Best grade: Ama"
"""


DJANGO = ("-p", "pytest_django.plugin", "--ds", "tests.settings", "--no-migrations")
TESTS = {
    "test of the function": ("test_function", UNIT, ()),
    "test with a request": ("test_request", REQUEST, DJANGO),
    "test in a browser": ("test_browser", BROWSER, DJANGO),
}
NEEDS = {
    "type checker": "the annotation, no test",
    "test of the function": "2 lines, nothing running",
    "test with a request": "a course, a route, a database",
    "test in a browser": "the same, a server and Chromium",
}


def check(folder: Path, *command: str) -> str:
    """Run a check that must fail; return what it prints."""
    environ = {
        **kept("HOME", "PLAYWRIGHT", "LD_"),
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
        "SEEN": str(folder / "seen.json"),
        "COLUMNS": "100",
    }
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return tidy(done.stdout)


def types(folder: Path) -> str:
    """Ask the type checker, without what it remembers of the last time."""
    code = quoted("lab/practices/testing.py", "wrong_read_grades").replace("  # type: ignore[return-value]", "")
    (folder / "grades.py").write_text(code, encoding="utf-8")
    return check(folder, "mypy", "--strict", "--no-incremental", "--cache-dir", os.devnull, "grades.py")


def with_pytest(folder: Path, *names: str) -> str:
    """Run some of the tests with pytest, in one process."""
    for name in names:
        file, text, options = TESTS[name]
        (folder / f"{file}.py").write_text(text, encoding="utf-8")
    return check(folder, "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider", *options)


def seconds(folder: Path, name: str) -> float:
    """Return how long one check takes, from its command to its verdict."""
    folder.mkdir()
    start = time.perf_counter()
    if name in TESTS:
        with_pytest(folder, name)
    else:
        types(folder)
    return time.perf_counter() - start


def verdict(printed: str) -> str:
    """Return the line that a person reads first."""
    return re.sub(r"^E +", "", next(line for line in printed.splitlines() if re.match(r"E  |.* error: ", line)))


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.wrong("lab/practices/testing.py:wrong_read_grades")
def test_each_level_says_less_about_where(tmp_path: Path, record: Recorder) -> None:
    if browser.find() is None:
        pytest.skip("There is no Chromium to look with: make test installs one")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    printed = with_pytest(tmp_path, *TESTS)
    parts = printed.partition("short test summary")[0].split("\n___ ")[1:]
    said = {"type checker": verdict(types(tmp_path))}
    said |= {name: verdict(next(part for part in parts if f"{file}.py" in part)) for name, (file, *_) in TESTS.items()}
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))
    assert 'got "dict[str, str]", expected "dict[str, int]"' in said["type checker"]
    assert "'100'" in said["test of the function"]
    for name in ("test with a request", "test in a browser"):
        assert "Best grade: Kofi" in said[name]
    assert {name: len(functions) for name, functions in seen.items()} == {
        "test_function": 1,
        "test_request": 3,
        "test_browser": 3,
    }
    rows = ["| Level | It asks for | It says | Our functions that had run |", "| --- | --- | --- | --- |"]
    for name, text in said.items():
        ran = ", ".join(f"`{function}`" for function in seen[TESTS[name][0]]) if name in TESTS else ""
        rows.append(f"| {name} | {NEEDS[name]} | `{text}` | {ran or 'none: it names the line'} |")
    record("testing_levels.md", "\n".join(rows))


@pytest.mark.django_db
def test_production_notices_nothing(
    academy: None, settings: Settings, caplog: pytest.LogCaptureFixture, record: Recorder
) -> None:
    settings.ROOT_URLCONF = "lab.practices.testing_samples"
    with caplog.at_level("DEBUG"):
        answer = Client().post("/wrong/python/", {"grades": "Ama,100\nKofi,85"})
    assert (answer.status_code, answer.content) == (200, b"<p>Best grade: Kofi</p>")
    lines = [f"{line.levelname} {line.name} {line.getMessage()}" for line in caplog.records]
    assert lines == ["INFO academy.announce best of python: Kofi"]
    record("testing_production.txt", "\n".join(lines))
    right = Client().post("/python/", {"grades": "Ama,100\nKofi,85"})
    assert right.content == b"<p>Best grade: Ama</p>"
    assert b"<textarea" in Client().get("/python/").content


# --8<-- [start:regression]
def test_a_hundred_is_more_than_eighty_five() -> None:
    grades = read_grades("Ama,100\nKofi,85")
    assert grades == {"Ama": 100, "Kofi": 85}
    assert best(grades) == "Ama"


# --8<-- [end:regression]


@pytest.mark.wrong("lab/practices/testing.py:wrong_best")
def test_mended_where_it_shows_it_is_still_there(session: Callable[..., None]) -> None:
    assert wrong_best(wrong_read_grades("Ama,100\nKofi,85")) == "Ama"
    with pytest.raises(TypeError):
        passed(wrong_read_grades("Ama,100\nKofi,85"))
    session(
        "testing_symptom.pycon",
        best=best,
        passed=passed,
        read_grades=read_grades,
        wrong_best=wrong_best,
        wrong_read_grades=wrong_read_grades,
    )


# What each takes


def measure(folder: Path, runs: int, names: Iterable[str] = NEEDS) -> Measurement:
    """Return how long checks take until their verdict: the median of some runs that take turns, after a first."""
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(runs + 1):
        for place, (name, found) in enumerate(times.items()):
            found.append(seconds(folder / f"{number}-{place}", name))
    return Measurement(
        title="From the command to the verdict, for one bug",
        description="The type checker and the test of the function answer first; the browser takes several times "
        "as long.",
        x="the check",
        y="seconds",
        versions={name: version(name) for name in ("mypy", "pytest", "django", "playwright")},
        bars={name: round(median(found[1:] or found), 2) for name, found in times.items()},
    )


@pytest.mark.measures("one_bug")
@pytest.mark.slow
def test_the_time_to_the_verdict(
    tmp_path: Path, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    bars = measured("one_bug.json", lambda: measure(tmp_path, 3)).bars
    assert list(bars) == list(NEEDS)
    cheap = max(bars["type checker"], bars["test of the function"])
    assert cheap < bars["test with a request"] < bars["test in a browser"]
    assert bars["test in a browser"] > 3 * cheap
    # The experiment itself, small:
    (tmp_path / "small").mkdir()
    small = measure(tmp_path / "small", 0, ["test of the function"]).bars
    assert min(small.values()) > 0
