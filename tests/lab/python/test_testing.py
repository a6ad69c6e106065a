"""What pytest shows, hands to a test and finds; and a test that cannot fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest.mock import call, create_autospec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.python.testing import Mailer, congratulate, label, passed, publish, read_line, write_line
from scripts.pages import ROOT
from tests.lab.python.quoted import quoted, run
from tests.recording.shell import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder

SAMPLES = "lab/python/testing_samples.py"
CONFIG = ROOT / "lab/python/testing/pyproject.toml"


# The tests that the page shows


# --8<-- [start:label]
@pytest.mark.parametrize(
    ("grade", "word"),
    [
        pytest.param(100, "distinction", id="highest"),
        pytest.param(80, "distinction", id="lowest distinction"),
        pytest.param(79, "pass", id="highest pass"),
        pytest.param(50, "pass", id="lowest pass"),
        pytest.param(49, "fail", id="highest fail"),
    ],
)
def test_label(grade: int, word: str) -> None:
    assert label(grade) == word


@pytest.mark.parametrize("grade", [-1, 101])
def test_no_label(grade: int) -> None:
    with pytest.raises(ValueError, match=f"{grade} is not a grade"):
        label(grade)


# --8<-- [end:label]


# --8<-- [start:publish]
def test_publish(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("ACADEMY", "Nexus")
    publish({"Kofi": 48}, tmp_path / "graduates.txt")
    assert (tmp_path / "graduates.txt").read_text(encoding="utf-8") == ""
    assert capsys.readouterr().out == "Nexus has 0 graduates\n"
    assert caplog.messages == ["nobody passed"]


# --8<-- [end:publish]


# --8<-- [start:autospec]
def test_those_who_passed_get_a_mail() -> None:
    mailer = create_autospec(Mailer, instance=True)
    congratulate({"Ama": 71, "Kofi": 48}, mailer)
    assert mailer.send.mock_calls == [call("Ama", "You passed")]


# --8<-- [end:autospec]


# What the page says of them


@pytest.fixture
def pytest_in(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """``pytest_in("-q", …)`` runs pytest in the test's folder; returns its status and what it printed."""
    (tmp_path / "tests").mkdir()
    shutil.copy(CONFIG, tmp_path)

    def start(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=tmp_path,
            env={**environment(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )
        shown = " ".join(f'"{word}"' if " " in word else word for word in arguments)
        output = re.sub(r" in \d+\.\d+s", "", done.stdout)
        return done.returncode, f"$ pytest {shown}\n{output}"

    return start


@pytest.mark.slow
@pytest.mark.wrong("lab/python/testing_samples.py:wrong_passed")
def test_what_a_failure_shows(tmp_path: Path, pytest_in: Callable[..., tuple[int, str]], record: Recorder) -> None:
    names = run(SAMPLES, "wrong_passed")
    with pytest.raises(AssertionError):
        run(SAMPLES, "test_passed", **names)["test_who_passed"]()
    for name, test in run(SAMPLES, "test_passed", passed=passed).items():
        if name.startswith("test_"):
            test()
    (tmp_path / "grading.py").write_text(quoted(SAMPLES, "wrong_passed"), encoding="utf-8")
    test_file = tmp_path / "tests" / "test_grading.py"
    test_file.write_text("from grading import passed\n\n\n" + quoted(SAMPLES, "test_passed"), encoding="utf-8")
    status, output = pytest_in("-q", "--tb=short")
    assert status == 1
    record("testing_failure.console", output)
    parts = [pytest_in("-q", "--tb=no", *words) for words in (("--lf",), ("-k", "nobody"))]
    right = quoted("lab/python/testing.py", "passed")
    (tmp_path / "grading.py").write_text(right, encoding="utf-8")
    parts.append(pytest_in("-q", "--tb=no", "--lf"))
    assert [status for status, _ in parts] == [1, 0, 0]
    record("testing_parts.console", "".join(output for _, output in parts))


@pytest.mark.slow
@pytest.mark.wrong("lab/python/testing_samples.py:wrong_fixture")
def test_a_shared_fixture_lets_tests_meet(
    tmp_path: Path, pytest_in: Callable[..., tuple[int, str]], record: Recorder
) -> None:
    names = run(SAMPLES, "wrong_fixture")
    learners = names["learners"].__wrapped__() if hasattr(names["learners"], "__wrapped__") else ["Esi"]
    names["test_ama_joins"](learners)
    with pytest.raises(AssertionError):
        names["test_kofi_joins"](learners)
    file = tmp_path / "tests" / "test_joining.py"
    text = quoted(SAMPLES, "wrong_fixture")
    file.write_text(text, encoding="utf-8")
    together, alone = pytest_in("-q", "--tb=line"), pytest_in("-q", "-k", "kofi")
    assert (together[0], alone[0]) == (1, 0)
    record("testing_fixture.console", together[1].replace(str(tmp_path), "~") + alone[1])
    file.write_text(text.replace('(scope="module")', ""), encoding="utf-8")
    assert pytest_in("-q")[0] == 0


@pytest.mark.wrong("lab/python/testing_samples.py:wrong_mock")
def test_a_mock_without_a_spec_agrees_to_everything() -> None:
    names = run(SAMPLES, "wrong_mock", passed=passed)
    names["test_a_mail_is_sent"]()
    with pytest.raises(AttributeError, match="deliver"):
        names["congratulate"]({"Ama": 71}, Mailer())
    with pytest.raises(AttributeError, match="deliver"):
        names["congratulate"]({"Ama": 71}, create_autospec(Mailer, instance=True))
    with pytest.raises(TypeError, match="too many positional arguments"):
        create_autospec(Mailer, instance=True).send("Ama", "You passed", "again")
    with pytest.raises(OSError, match="must not get here"):
        congratulate({"Ama": 71}, Mailer())


@pytest.mark.slow
@pytest.mark.wrong("lab/python/testing_samples.py:wrong_lines")
def test_hypothesis_finds_the_comma(
    tmp_path: Path, pytest_in: Callable[..., tuple[int, str]], record: Recorder
) -> None:
    wrong = run(SAMPLES, "wrong_lines")
    assert wrong["read_line"](wrong["write_line"]("Ama", 71)) == ("Ama", 71), "the example that one thinks of"
    with pytest.raises(ValueError, match="invalid literal for int"):
        run(SAMPLES, "test_lines", **wrong)["test_what_was_written_can_be_read"]()
    run(SAMPLES, "test_lines", read_line=read_line, write_line=write_line)["test_what_was_written_can_be_read"]()
    (tmp_path / "lines.py").write_text(quoted(SAMPLES, "wrong_lines"), encoding="utf-8")
    text = "from lines import read_line, write_line\n" + quoted(SAMPLES, "test_lines")
    (tmp_path / "tests" / "test_lines.py").write_text(text, encoding="utf-8")
    status, output = pytest_in("-q", "--tb=short")
    assert status == 1
    record("testing_hypothesis.console", output)


@settings(derandomize=True, deadline=None)
@given(name=st.text(), grade=st.integers(0, 100))
def test_lines_survive_any_name(name: str, grade: int) -> None:
    assert read_line(write_line(name, grade)) == (name, grade)


@pytest.mark.wrong("lab/python/testing_samples.py:wrong_test")
def test_a_test_that_checks_nothing() -> None:
    names = run(SAMPLES, "wrong_test")
    assert max(names["GRADES"]["django"]) > 100, "the rule is broken"
    names["test_grades_are_at_most_100"]()
    names["GRADES"]["Django"] = names["GRADES"].pop("django")
    with pytest.raises(AssertionError):
        names["test_grades_are_at_most_100"]()


@pytest.mark.slow
def test_the_configuration_is_strict(tmp_path: Path, pytest_in: Callable[..., tuple[int, str]]) -> None:
    mark = "import warnings\nimport pytest\n@pytest.mark.{mark}\ndef test_it():\n    {line}\n"
    wanted: dict[tuple[str, str], tuple[int, str]] = {
        ("slow", "pass"): (0, "1 passed"),
        ("slwo", "pass"): (2, "'slwo' not found in `markers` configuration option"),
        ("slow", "warnings.warn('old', stacklevel=1)"): (1, "UserWarning: old"),
        ("xfail", "pass"): (1, "XPASS(strict)"),
    }
    for (name, line), (status, words) in wanted.items():
        (tmp_path / "tests" / "test_it.py").write_text(mark.format(mark=name, line=line), encoding="utf-8")
        done, output = pytest_in("-q", "-p", "no:cacheprovider")
        assert done == status, output
        assert words in output
