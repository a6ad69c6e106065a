"""Logging: who hears what, how often, and what nobody should."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from lab.python import logging as academy
from lab.python.logging import (
    LOGGING,
    JsonLines,
    RequestId,
    WithRequestId,
    import_grades,
    issue,
    logger,
    report,
    request_id,
    sign_in,
    wrong_connect,
    wrong_issue,
    wrong_report,
    wrong_sign_in,
)
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Shell = Callable[..., None]

LINE = logging.Formatter(LOGGING["formatters"]["line"]["format"])  # type: ignore[index]


@contextmanager
def heard(formatter: logging.Formatter = LINE, level: int = logging.INFO) -> Iterator[io.StringIO]:
    """Collect what the logger of the page writes, as its configuration writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    handler.addFilter(WithRequestId())
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield written
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = True


@pytest.fixture
def scripts(tmp_path: Path) -> None:
    """The page's module as academy.py, and two programs that use it."""
    shutil.copy(academy.__file__, tmp_path / "academy.py")
    (tmp_path / "run.py").write_text(
        "import logging.config\n"
        "import sys\n"
        "import academy\n\n"
        "logging.config.dictConfig(vars(academy)[sys.argv[1]])\n"
        'academy.import_grades(["Ama,71", "Kofi,71 %"])\n'
    )
    (tmp_path / "app.py").write_text(
        "import logging\n"
        "import academy\n\n"
        "academy.wrong_connect()\n"
        "logging.basicConfig(level=logging.INFO)\n"
        'academy.import_grades(["Ama,71"])\n'
    )


@pytest.mark.slow
@pytest.mark.wrong("lab/python/logging.py:wrong_config")
def test_a_handler_at_two_places_writes_each_line_twice(scripts: None, shell: Shell) -> None:
    shell("logging_levels.console")
    with heard(level=logging.DEBUG) as written:
        assert import_grades(["Ama,71", "Kofi,71 %"]) == {"Ama": 71}
    assert [line.split()[0] for line in written.getvalue().splitlines()] == ["DEBUG", "DEBUG", "WARNING", "INFO"]


@pytest.mark.slow
@pytest.mark.wrong("lab/python/logging.py:wrong_connect")
def test_the_root_loggers_functions_configure_it(scripts: None, shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    shell("logging_library.console")
    wrong_connect()
    assert [record.name for record in caplog.records] == ["root"]


@pytest.mark.wrong("lab/python/logging.py:wrong_issue")
def test_the_text_of_an_exception_is_not_enough(record: Recorder) -> None:
    with heard() as written:
        wrong_issue({"learner": "Ama"})
    first = written.getvalue()
    assert first == "ERROR academy.grades: no certificate: 'grade'\n"
    with heard() as written:
        issue({"learner": "Ama"})
    text = re.sub(r'File ".*/(lab/.*)", line \d+', r'File "\1", line …', written.getvalue())
    text = re.sub(r"^[ ~^]+\n", "", text, flags=re.MULTILINE)  # Python's marks differ between versions
    record("logging_exception.txt", f"{first}\n{text}")
    with heard() as written:
        for function in (issue, wrong_issue):
            function({"learner": "Ama", "grade": 71})
    assert written.getvalue().count("certificate for Ama: 71") == 2


@pytest.mark.wrong("lab/python/logging.py:wrong_report")
def test_an_f_string_is_made_whether_or_not_anybody_hears_it() -> None:
    class Report:
        made = 0

        def __str__(self) -> str:
            self.made += 1
            return "71, 48, 90"

    for function, quiet, loud in ((wrong_report, 1, 1), (report, 0, 1)):
        for level, expected in ((logging.INFO, quiet), (logging.DEBUG, loud)):
            asked = Report()
            with heard(level=level) as written:
                function(asked)
            assert asked.made == expected
            assert bool(written.getvalue()) is (level == logging.DEBUG)


def test_a_wrong_argument_does_not_stop_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler(io.StringIO())
    handler.handle(logging.makeLogRecord({"msg": "%d grades", "args": ("three",)}))
    assert "--- Logging error ---" in capsys.readouterr().err


@pytest.mark.wrong("lab/python/logging.py:wrong_sign_in")
def test_what_a_log_must_not_hold(record: Recorder) -> None:
    form = {"email": "a@example.com\nINFO academy.grades: grades imported: 30", "password": "mango-tree-42"}
    with heard() as written:
        wrong_sign_in(form)
    record("logging_secret.txt", written.getvalue())
    assert "mango-tree-42" in written.getvalue()
    assert "\nINFO academy.grades: grades imported: 30\n" in written.getvalue()
    with heard() as written:
        sign_in(form)
    record("logging_no_secret.txt", written.getvalue())
    assert written.getvalue().count("\n") == 1
    assert "mango" not in written.getvalue()
    with heard() as written:
        sign_in({"email": "a" * 10_000})
    assert written.getvalue().count("a" * 80) == 1, "it is cut"


def test_extra_must_not_use_the_names_of_the_record(session: Session) -> None:
    session("logging_extra.pycon", logger=logger)
    assert {"taskName", "name", "args"} <= JsonLines.usual


def test_one_line_of_json_for_each_record_and_one_id_for_each_request(
    record: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {"worker_0": "5f1c9a02", "worker_1": "c07be4d1"}
    monkeypatch.setattr("lab.python.logging.secrets.token_hex", lambda _: ids[threading.current_thread().name])
    together = threading.Barrier(2)
    turn = threading.Event()

    def view(request: HttpRequest) -> HttpResponse:
        first = threading.current_thread().name == "worker_0"
        logged = logging.getLogger("academy.grades").info
        together.wait(10)  # both requests are under way now
        assert first or turn.wait(10)
        logged("enrolled", extra={"learner": "Ama" if first else "Kofi", "seats_left": 2 if first else 1})
        turn.set()
        return HttpResponse()

    middleware = RequestId(view)
    with time_machine.travel("2026-11-23T09:00Z", tick=False), heard(JsonLines()) as written:
        with ThreadPoolExecutor(2, thread_name_prefix="worker") as pool:
            answers = list(pool.map(middleware, [RequestFactory().get("/"), RequestFactory().get("/")]))
        logger.warning("the queue is long", extra={"length": 40})
    assert {answer["X-Request-ID"] for answer in answers} == set(ids.values())
    assert request_id.get() == "-"
    record("logging_json.txt", written.getvalue())


def test_an_exception_stays_on_its_line() -> None:
    with heard(JsonLines()) as written:
        issue({"learner": "Ama"})
    line = json.loads(written.getvalue())
    assert written.getvalue().count("\n") == 1
    assert line["traceback"].endswith("KeyError: 'grade'")
    assert line["request_id"] == "-"


def test_the_middleware_in_django(settings: Settings, academy: None, client: Client) -> None:
    settings.MIDDLEWARE = ["lab.python.logging.RequestId", *settings.MIDDLEWARE]
    ids = {client.get("/", secure=True)["X-Request-ID"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{8}", id_) for id_ in ids)


@pytest.mark.slow
def test_what_print_has_said_is_lost_in_a_crash() -> None:
    code = 'import logging, os\nprint("printed")\nlogging.warning("logged")\nos._exit(1)'
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("", "WARNING:root:logged\n")


@pytest.mark.slow
def test_a_configuration_silences_older_loggers_unless_told_not_to(scripts: None, tmp_path: Path) -> None:
    code = (
        "import logging.config, sys, academy\n"
        'academy.LOGGING["loggers"] = {sys.argv[2]: {}}\n'
        'academy.LOGGING["disable_existing_loggers"] = sys.argv[1] == "yes"\n'
        "logging.config.dictConfig(academy.LOGGING)\n"
        'academy.import_grades(["Ama,?"])\n'
    )
    for answer, named, lines in (("yes", "other", 0), ("yes", "academy", 1), ("no", "other", 1)):
        run = [sys.executable, "-c", code, answer, named]
        ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert ran.stderr.count("\n") == lines


@pytest.mark.slow
def test_a_script_called_logging_finds_itself(tmp_path: Path) -> None:
    script = tmp_path / "logging.py"
    shutil.copy(academy.__file__, script)
    ran = subprocess.run([sys.executable, "-S", script], capture_output=True, text=True, check=False)
    assert "AttributeError" in ran.stderr


@pytest.mark.slow
def test_which_rules_of_ruff_find_the_texts_made_too_early() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--output-format", "concise", "--select", "G"]
    found = subprocess.run([*command, academy.__file__], capture_output=True, text=True, check=False).stdout
    assert (found.count("G004"), found.count("G003")) == (2, 1)


@pytest.mark.slow
def test_the_configuration_with_json(scripts: None, tmp_path: Path) -> None:
    run = [sys.executable, "run.py", "JSON_LOGGING"]
    ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["WARNING", "INFO"]
    assert lines[0]["request_id"] == "-"


def test_a_filter_of_a_logger_does_not_see_the_records_of_its_children() -> None:
    parent = logging.getLogger("academy")
    refuse = logging.Filter("nothing of the kind")
    parent.addFilter(refuse)
    try:
        with heard() as written:
            logger.info("heard all the same")
    finally:
        parent.removeFilter(refuse)
    assert written.getvalue()


def test_a_warning_is_for_the_programmer_and_can_be_logged() -> None:
    def enroll_all() -> None:
        warnings.warn("enroll_all is going away; call enroll", DeprecationWarning, stacklevel=2)

    with pytest.warns(DeprecationWarning, match="going away") as seen:
        enroll_all()
    assert Path(seen[0].filename) == Path(__file__)
    logged: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = logged.append  # type: ignore[method-assign,assignment]
    logging.getLogger("py.warnings").addHandler(handler)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        try:
            enroll_all()
        finally:
            logging.captureWarnings(False)
            logging.getLogger("py.warnings").removeHandler(handler)
    assert "enroll_all is going away" in logged[0].getMessage()


# What a line costs

GRADES = {f"Learner {n}": 10 * n for n in range(10)}


def timed(formatter: logging.Formatter, call: Callable[[object], None], count: int = 2000) -> float:
    """Return how many microseconds one call takes."""
    with heard(formatter):
        start = time.perf_counter()
        for _ in range(count):
            call(GRADES)
        return (time.perf_counter() - start) / count * 1e6


KINDS: dict[str, tuple[logging.Formatter, Callable[[object], None]]] = {
    "DEBUG is off: arguments": (LINE, report),
    "DEBUG is off: f-string": (LINE, wrong_report),
    "INFO, a line of text": (LINE, lambda grades: logger.info("report: %s", grades)),
    "INFO, a line of JSON": (JsonLines(), lambda grades: logger.info("report: %s", grades)),
}


def measure() -> Measurement:
    """Return the median of 21 runs of each kind, in turn."""
    runs: dict[str, list[float]] = {name: [] for name in KINDS}
    for _ in range(21):
        for name, (formatter, call) in KINDS.items():
            runs[name].append(timed(formatter, call))
    return Measurement(
        title="One call of a logger",
        description="A call at a level that is off costs little, unless an f-string makes its text first.",
        x="call",
        y="time (µs)",
        versions={"Python": ".".join(map(str, sys.version_info[:3]))},
        bars={name: round(median(values), 2) for name, values in runs.items()},
    )


@pytest.mark.measures("logging")
def test_what_a_line_costs(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    bars = dict(measured("logging.json", measure).bars)
    off, made, text, as_json = (float(bars[name]) for name in KINDS)
    assert off * 10 < text < as_json
    assert off * 5 < made < text
    # What holds on every machine:
    assert timed(*KINDS["DEBUG is off: arguments"], 500) * 3 < timed(*KINDS["INFO, a line of text"], 500)
