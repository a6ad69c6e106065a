"""Tests are run in both orders, alone, and against code that is wrong on purpose."""

from __future__ import annotations

import inspect
import re
import runpy
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scripts.pages import ROOT
from tests.lab.ci_cd.pytest_run import run, status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

pytestmark = pytest.mark.slow

LAB = ROOT / "lab/challenges/dependent_tests"
FILE = "test_register.py"
NAMES = {
    "test_a_course_has_thirty_seats",
    "test_a_learner_gets_a_seat",
    "test_the_list_is_in_order",
    "test_a_full_course_refuses",
}
MISTAKES = {
    '"30"': '"31"',
    "raise CourseIsFullError(learner)": "pass",
    "ORDER BY 1": "ORDER BY 1 DESC",
    "VALUES (?)": "SELECT ? WHERE 1 = 0",
}


def desk(folder: Path, version: Path, mistake: str = "") -> Path:
    """Return a folder with the tests of a version, and the register, perhaps with a mistake in it."""
    folder.mkdir()
    for file in (version / FILE, version / "conftest.py"):  # a fixture may stand in either
        if file.exists():
            shutil.copy(file, folder)
    code = (LAB / "broken" / "register.py").read_text(encoding="utf-8")
    assert mistake in code
    mistaken = code.replace(mistake, MISTAKES[mistake]) if mistake else code
    (folder / "register.py").write_text(mistaken, encoding="utf-8")
    return folder


def failures(output: str) -> str:
    """Return the names of the tests that failed, in the order in which they ran."""
    return ", ".join(re.findall(rf"^{FILE}::(?:\w+::)*(\w+)\S* (?:FAILED|ERROR)", output, re.MULTILINE))


@pytest.mark.broken("dependent_tests.txt")
@pytest.mark.wrong("lab/challenges/dependent_tests/broken/test_register.py:wrong_tests")
def test_the_order_decides_nothing(version: Version, tmp_path: Path) -> None:
    folder = desk(tmp_path / "right", version.folder)
    found, output = status(folder, f"pytest -v {FILE}")
    tests = re.findall(rf"^({FILE}::\S+) ", output, re.MULTILINE)
    assert {name.split("::")[-1].split("[")[0] for name in tests} >= NAMES, "all four tests are still there"
    wrong = [f"in the order of the file: {failures(output)} failed"] if found else []
    found, output = status(folder, f"pytest -v {' '.join(reversed(tests))}")
    wrong += [f"in the opposite order: {failures(output)} failed"] if found else []
    if not wrong:
        between = tests[1:-1]  # the others were the first of an order, and as good as alone
        wrong += [f"alone: {test} failed" for test in between if status(folder, f"pytest {test}")[0]]
        for number, mistake in enumerate(MISTAKES):
            if not status(desk(tmp_path / str(number), version.folder, mistake), f"pytest {FILE}")[0]:
                wrong.append(f"the tests pass although {mistake} became {MISTAKES[mistake]}")
    if wrong:
        raise AssertionError("\n".join(["the code is right, and", *wrong]))


def test_how_the_culprits_are_found(tmp_path: Path, record: Recorder) -> None:
    folder = desk(tmp_path / "right", LAB / "broken")
    victim, first = f"{FILE}::test_the_list_is_in_order", f"{FILE}::test_a_learner_gets_a_seat"
    shown = [run(folder, f"pytest -q --tb=line {words}") for words in (FILE, f"--last-failed {FILE}")]
    assert "1 failed, 3 passed" in shown[0]
    assert "1 passed, 3 deselected" in shown[1]
    record("dependent_tests_whole.console", "\n".join(shown))
    pair = run(folder, f"pytest -q --tb=line {first} {victim}")
    assert "1 failed, 1 passed" in pair
    record("dependent_tests_pair.console", pair)


def test_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("broken", "fixed"):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(LAB / version)
            patch.delitem(sys.modules, "register", raising=False)
            patch.setenv("COURSE_SEATS", "30")
            tests = runpy.run_path(str(LAB / version / FILE))
            for name in (name for name in tests if name.startswith("test_")):
                given: dict[str, Any] = {"monkeypatch": patch}
                made = inspect.unwrap(tests["course"])() if version == "fixed" else iter([tests["course"]])
                given["course"] = next(made)
                arguments = {key: given[key] for key in inspect.signature(tests[name]).parameters}
                if (version, name) == ("broken", "test_the_list_is_in_order"):
                    with pytest.raises(AssertionError):
                        tests[name](**arguments)
                else:
                    tests[name](**arguments)
                assert list(made) == [], "what the fixture does at the end"
            if version == "broken":
                tests["course"].close()
            del sys.modules["register"]
