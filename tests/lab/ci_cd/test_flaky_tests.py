"""Each kind of flaky test passes and fails here without a change of the code, and its mended form only passes."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.error import HTTPError

import pytest
import time_machine

from lab.academy.models import User
from lab.ci_cd import flaky_tests, flaky_tests_samples
from tests.lab.ci_cd.pytest_run import quoted, run, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from time_machine import TimeMachineFixture

    from tests.recording.files import Recorder

SAMPLES = "lab/ci_cd/flaky_tests_samples.py"
MENDED = "lab/ci_cd/flaky_tests.py"
IMPORTS = "import datetime, math, random, threading, time, urllib.request\n\nimport pytest\n\n\n"


def passes(test: Callable[..., None], *arguments: object) -> bool:
    """Return whether a test passes."""
    try:
        test(*arguments)
    except AssertionError:
        return False
    return True


@contextmanager
def rates(*statuses: int) -> Iterator[str]:
    """Run a server that answers with these statuses, one after the other; yield its URL."""
    left = list(statuses)

    class Rates(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0))
            self.end_headers()
            self.wfile.write(b"12.5")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Rates) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


# Order


@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_order")
def test_the_order_of_two_tests_decides(tmp_path: Path, record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (
        flaky_tests_samples.test_a_course_starts_with_two_seats,
        flaky_tests_samples.test_a_learner_takes_a_seat,
    )
    monkeypatch.setitem(flaky_tests_samples.seats, "python", 2)
    assert (passes(first), passes(second)) == (True, True)
    monkeypatch.setitem(flaky_tests_samples.seats, "python", 2)
    assert (passes(second), passes(first)) == (True, False)
    # In pytest, as the page shows it:
    (tmp_path / "conftest.py").write_text(IMPORTS + quoted(MENDED, "shuffle"))
    (tmp_path / "test_seats.py").write_text(quoted(SAMPLES, "wrong_order"))
    command = "pytest -q --tb=line test_seats.py"
    shown = [run(tmp_path, f"{command}{more}") for more in ("", " --shuffle 1", " --last-failed")]
    assert "2 passed" in shown[0]
    assert "1 failed, 1 passed" in shown[1]
    assert "1 passed" in shown[2]
    record("flaky_tests_order.console", "\n".join(shown))


@pytest.mark.slow
def test_the_mended_tests_pass_in_every_order(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(IMPORTS + quoted(MENDED, "shuffle"))
    (tmp_path / "test_seats.py").write_text(
        IMPORTS + quoted(MENDED, "order") + "\n\ndef test_two(seats):\n    assert seats['python'] == 2\n"
    )
    for seed in range(4):
        assert status(tmp_path, f"pytest -q test_seats.py --shuffle {seed}")[0] == 0


def test_a_fixture_is_new_for_each_test() -> None:
    # The same in this process, for the coverage of the quoted lines.
    fresh = cast("Callable[[], dict[str, int]]", getattr(flaky_tests.seats, "__wrapped__"))  # noqa: B009
    for _ in range(2):
        flaky_tests.test_a_learner_takes_a_seat(fresh())


def test_the_hook_shuffles_when_asked() -> None:
    class Config:
        def __init__(self, seed: int | None) -> None:
            self.seed = seed

        def getoption(self, _: str) -> int | None:
            return self.seed

    class Options:
        def addoption(self, *words: object, **_: object) -> None:
            assert words == ("--shuffle",)

    flaky_tests.pytest_addoption(cast("pytest.Parser", Options()))
    items: list[Any] = list(range(9))
    flaky_tests.pytest_collection_modifyitems(cast("pytest.Config", Config(None)), items)
    assert items == list(range(9))
    flaky_tests.pytest_collection_modifyitems(cast("pytest.Config", Config(7)), items)
    assert items != list(range(9)) == sorted(items)


# Time, randomness, sets


@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_time")
def test_the_day_decides(time_machine: TimeMachineFixture) -> None:
    test = flaky_tests_samples.test_a_course_that_runs_has_not_ended
    time_machine.move_to("2026-12-31 12:00")
    assert passes(test)
    time_machine.move_to("2027-01-01 12:00")
    assert not passes(test)


def test_a_frozen_clock(time_machine: TimeMachineFixture) -> None:
    flaky_tests.test_a_course_ends_after_its_last_day(time_machine)


@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_randomness")
def test_the_seed_decides(tmp_path: Path, record: Recorder) -> None:
    test = flaky_tests_samples.test_a_good_grade_passes
    outcomes = set()
    for seed in range(100):
        random.seed(seed)
        outcomes.add(passes(test))
    assert outcomes == {True, False}
    with pytest.raises(AssertionError):  # the three grades of the mended test find the mistake each time
        assert flaky_tests_samples.passed(60)
    for grade in (60, 61, 100):
        flaky_tests.test_a_good_grade_passes(grade)
    (tmp_path / "conftest.py").write_text(IMPORTS + quoted(MENDED, "repeat"))
    (tmp_path / "test_grades.py").write_text(IMPORTS + quoted(SAMPLES, "wrong_randomness"))
    shown = run(tmp_path, "pytest -q --tb=no -rf test_grades.py")
    assert "failed" in shown
    assert "passed" in shown
    lines = [line for line in shown.splitlines() if not line.startswith((".", "F.", "="))]
    record("flaky_tests_repeat.console", "\n".join(lines))


def test_the_hook_gives_each_repetition_a_seed() -> None:
    class Metafunc:
        def parametrize(self, name: str, values: range) -> None:
            assert (name, len(values)) == ("seed", 100)

    flaky_tests.pytest_generate_tests(cast("pytest.Metafunc", Metafunc()))
    seeded = getattr(flaky_tests.repeatable, "__wrapped__")  # noqa: B009
    seeded(3)
    first = random.random()  # noqa: S311
    seeded(3)
    assert random.random() == first  # noqa: S311


@pytest.mark.slow
@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_sets")
@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_floats")
def test_the_hash_of_a_text_decides(tmp_path: Path) -> None:
    (tmp_path / "test_sets.py").write_text(quoted(SAMPLES, "wrong_sets"))
    (tmp_path / "test_floats.py").write_text(quoted(SAMPLES, "wrong_floats"))
    for name in ("test_sets.py", "test_floats.py"):
        found = {status(tmp_path, f"pytest -q {name}", PYTHONHASHSEED=str(seed))[0] for seed in range(1, 6)}
        assert found == {0, 1}, name


def test_sorted_names_and_close_sums() -> None:
    assert sorted(flaky_tests_samples.names("Ama Kofi Ama")) == ["Ama", "Kofi"]
    passes(flaky_tests_samples.test_each_name_stands_there_once)
    passes(flaky_tests_samples.test_the_weights_add_up)
    flaky_tests.test_each_name_stands_there_once()
    flaky_tests.test_the_weights_add_up()


# Rows, threads, the network


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_rows")
def test_the_database_decides(db: None, database: str) -> None:
    assert passes(flaky_tests_samples.test_the_new_address_stands_first) == (database == "sqlite")
    User.objects.all().delete()
    flaky_tests.test_the_new_address_stands_first()


@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_concurrency")
def test_the_speed_of_the_machine_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()  # a slow worker waits for it in place of sleeping
    slow, others = 0.3, threading.enumerate()

    class Clock:
        @staticmethod
        def sleep(seconds: float) -> None:
            if seconds == slow:
                gate.wait(10)
            elif seconds and not flaky_tests_samples.PAUSE:  # the quick worker is quick, however busy the machine is
                for thread in set(threading.enumerate()) - set(others):
                    thread.join(10)

    monkeypatch.setattr(flaky_tests_samples, "time", Clock)
    assert passes(flaky_tests_samples.test_a_learner_is_welcomed)
    monkeypatch.setattr(flaky_tests_samples, "PAUSE", slow)
    assert not passes(flaky_tests_samples.test_a_learner_is_welcomed)
    threading.Timer(0.2, gate.set).start()
    flaky_tests.test_a_learner_is_welcomed()


@pytest.mark.wrong("lab/ci_cd/flaky_tests_samples.py:wrong_network")
def test_the_other_server_decides() -> None:
    with rates(200, 503) as url:
        assert flaky_tests_samples.cedis(10, url) == 125
        with pytest.raises(HTTPError, match="503"):
            flaky_tests_samples.cedis(10, url)
    flaky_tests.test_dollars_become_cedis()


# The arithmetic and the quarantine


@pytest.mark.slow
def test_a_quarantine_ends(tmp_path: Path, record: Recorder) -> None:
    conftest = "import os, time_machine\n\ntime_machine.travel(os.environ['TODAY'] + ' 12:00').start()\n"
    (tmp_path / "conftest.py").write_text(conftest)
    # The worker is slow: the letter is never there in time.
    late = "def test_a_learner_is_welcomed():\n    outbox = []\n    assert outbox == ['Welcome, Ama']\n\n\n"
    (tmp_path / "test_letters.py").write_text(IMPORTS + late + quoted(MENDED, "quarantine"))
    lines = []
    for day, expected in (("2026-12-15", 0), ("2026-12-16", 1)):
        command = "pytest -q --tb=no -rxf test_letters.py -k in_time"
        found, text = status(tmp_path, command, TODAY=day)
        assert found == expected
        lines += [f"# on {day}", f"$ {command}", *text.splitlines()[1:]]
    record("flaky_tests_quarantine.console", "\n".join(lines))


@pytest.mark.parametrize(("day", "lasts"), [("2026-12-15", True), ("2026-12-16", False)])
def test_the_mark_holds_until_the_day(day: str, lasts: bool) -> None:
    with time_machine.travel(f"{day} 12:00"):
        assert flaky_tests.quarantine("2026-12-15", "late").mark.args == (lasts,)
    flaky_tests.test_the_letter_comes_in_time()
