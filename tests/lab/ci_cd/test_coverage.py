"""What coverage counts, what it cannot see, and what mutants show of the tests."""

from __future__ import annotations

import json
import shutil
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from lab import environment
from lab.ci_cd import coverage_samples
from lab.ci_cd.coverage import final_grade, raised
from lab.ci_cd.coverage_samples import wrong_final_grade
from scripts.pages import ROOT
from tests.lab.ci_cd.pytest_run import quoted, run, status
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder

MODULE = "lab/ci_cd/coverage.py"
SAMPLES = "lab/ci_cd/coverage_samples.py"
THIS = "tests/lab/ci_cd/test_coverage.py"


# --8<-- [start:edges]
@pytest.mark.parametrize(
    ("points", "late_days", "grade"),
    [
        (80, 2, 80),  # the last free day
        (80, 3, 75),  # the first that counts
        (101, 0, 100),
        (10, 8, 0),
    ],
)
def test_the_edges(points: int, late_days: int, grade: int) -> None:
    assert final_grade(points, late_days) == grade


# --8<-- [end:edges]


def grading(folder: Path, *tests: str, function: str = f"{MODULE}:final_grade", more: str = "") -> None:
    """Write the module grading and a file with these tests of it."""
    folder.mkdir(exist_ok=True)
    path, section = function.split(":")
    code = quoted(path, section).replace("def wrong_final_grade", "def final_grade")
    (folder / "grading.py").write_text(code)
    text = "import pytest\n\nfrom grading import final_grade\n\n\n"
    text += quoted(SAMPLES, *tests)
    (folder / "test_grading.py").write_text(text + more)


def covered(folder: Path, *options: str) -> str:
    """Return the report of a run of the tests in a folder, as a shell session."""
    command = " ".join(["coverage run", *options, "-m pytest -q"])
    assert status(folder, command)[0] == 0
    report = run(folder, "coverage report -m --include=grading.py")
    return f"$ {command}\n. [100%]\n{report}"


@pytest.mark.wrong("lab/ci_cd/coverage_samples.py:wrong_lines")
def test_every_line_and_not_every_way(tmp_path: Path, record: Recorder) -> None:
    grading(tmp_path, "wrong_lines")
    lines, branches = covered(tmp_path), covered(tmp_path, "--branch")
    assert "100%" in lines.splitlines()[-1]
    assert "100%" not in branches.splitlines()[-1]
    shown = [line for line in f"{lines}\n{branches}".splitlines() if line.startswith(("$", "Name", "grading"))]
    record("coverage_branch.console", "\n".join(shown))
    coverage_samples.test_a_late_grade()


@pytest.mark.wrong("lab/ci_cd/coverage_samples.py:wrong_final_grade")
def test_full_coverage_of_a_wrong_function(tmp_path: Path, session: Callable[..., None], record: Recorder) -> None:
    grading(tmp_path, "wrong_lines", "wrong_branches", function=f"{SAMPLES}:wrong_final_grade")
    shown = covered(tmp_path, "--branch").splitlines()
    assert shown[-1].endswith("100%")
    record("coverage_full.console", "\n".join(line for line in shown if line.startswith(("$", "Name", "grading"))))
    session("coverage_wrong.pycon", wrong_final_grade=wrong_final_grade, final_grade=final_grade)
    assert (wrong_final_grade(80), wrong_final_grade(80, 4)) == (80, 70)
    coverage_samples.test_a_grade_in_time()


@pytest.mark.wrong("lab/ci_cd/coverage_samples.py:wrong_no_assert")
def test_full_coverage_without_a_question(tmp_path: Path) -> None:
    coverage_samples.test_a_grade_is_computed()
    grading(tmp_path, "wrong_no_assert")
    assert covered(tmp_path, "--branch").splitlines()[-1].endswith("100%")
    broken = (tmp_path / "grading.py").read_text().replace("return max(0, min(grade, 100))", "return 42")
    (tmp_path / "grading.py").write_text(broken)
    assert status(tmp_path, "pytest -q")[0] == 0


def test_the_settings_are_those_of_this_repository(record: Recorder) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    start, end = text.index("[tool.coverage.run]"), text.index("[tool.rumdl]")
    record("coverage_settings.toml", text[start:end].strip())


COMMAND = "import subprocess, sys\n\n\ndef test_the_command():\n"
COMMAND += "    subprocess.run([sys.executable, 'grade.py'], check=True)\n"


@pytest.mark.slow
def test_a_process_of_its_own(tmp_path: Path, record: Recorder) -> None:
    (tmp_path / "grade.py").write_text("grade = 80\nprint(grade)\n")
    (tmp_path / "test_grade.py").write_text(COMMAND)
    (tmp_path / "with.ini").write_text("[run]\npatch = subprocess\n")

    def ran(command: str) -> list[str]:
        """Run a command, and return it with the lines of a report about the program."""
        found, text = status(tmp_path, command)
        assert found == 0, text
        return [f"$ {command}", *(line for line in text.splitlines() if line.startswith(("Name", "grade.py")))]

    without = [*ran("coverage run --source=. -m pytest -q"), *ran("coverage report")]
    assert without[-1].endswith(" 0%")
    measured = [
        *ran("coverage run --source=. --rcfile=with.ini -m pytest -q"),
        *ran("coverage combine"),
        *ran("coverage report"),
    ]
    assert measured[-1].endswith(" 100%")
    lines = [*without, "$ cat with.ini", "[run]", "patch = subprocess", *measured]
    record("coverage_subprocess.console", "\n".join(lines))


def test_a_floor_that_only_rises() -> None:
    assert raised(80, 84.7) == 84
    assert raised(84, 84.2) == 84
    with pytest.raises(SystemExit, match=r"coverage is 83\.9 %, and was 84 % before"):
        raised(84, 83.9)


def test_too_little_coverage_is_a_failure(tmp_path: Path, record: Recorder) -> None:
    grading(tmp_path, "wrong_branches")
    assert status(tmp_path, "coverage run --branch -m pytest -q")[0] == 0
    command = "coverage report --include=grading.py --fail-under=90"
    found, text = status(tmp_path, command)
    assert found == 2
    record("coverage_floor.console", f"$ {command}; echo $?\n{text.splitlines()[-1]}\n{found}")


# Mutants

CONFIG = '[tool.mutmut]\nsource_paths = ["grading.py"]\npytest_add_cli_args_test_selection = ["test_grading.py"]\n'


def survivors(folder: Path, **variables: str) -> list[str]:
    """Make the mutants of a project, test each, and return the names of those that no test noticed."""
    shutil.rmtree(folder / "mutants", ignore_errors=True)
    found, text = status(folder, "mutmut run", **variables)
    assert found == 0, text[-2000:]
    lines = status(folder, "mutmut results")[1].splitlines()
    return [line.split(":")[0].strip() for line in lines if line.strip().endswith(": survived")]


@pytest.mark.slow
@pytest.mark.wrong("lab/ci_cd/coverage_samples.py:wrong_branches")
def test_a_mutant_survives_full_coverage(tmp_path: Path, record: Recorder) -> None:
    grading(tmp_path, "wrong_lines", "wrong_branches")
    assert covered(tmp_path, "--branch").splitlines()[-1].endswith("100%")
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    before = survivors(tmp_path)

    def show(name: str) -> str:
        text = status(tmp_path, f"mutmut show {name}")[1]
        return "\n".join(line for line in text.splitlines() if not line.startswith(("#", "---", "+++", "@@")))

    grading(tmp_path, "wrong_lines", "wrong_branches", more="\n\n" + quoted(THIS, "edges"))
    after = survivors(tmp_path)
    assert set(after) < set(before)
    killed = next(name for name in before if name not in after)
    diff = show(killed)
    assert "+    if late_days > 3:" in diff
    record("coverage_mutant.txt", diff)
    record("coverage_equal.txt", "\n\n".join(map(show, after)))
    record(
        "coverage_survivors.md",
        "| Tests | Branch coverage | Mutants that survive |\n| --- | ---: | ---: |\n"
        f"| the two above | 100 % | {len(before)} |\n| with the edges | 100 % | {len(after)} |",
    )


# The same on the module that reads the lab's settings


# --8<-- [start:settings_edges]
def test_a_key_that_is_long_enough() -> None:
    assert environment.secret("abcde" * 10)


@pytest.mark.parametrize("text", ["abcde" * 9 + "abcd", "abcd" * 13])
def test_a_key_that_can_be_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="it needs 50 characters"):
        environment.secret(text)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps"])
def test_every_kind_of_broker(scheme: str) -> None:
    assert environment.broker(f"{scheme}://host").startswith(scheme)


# --8<-- [end:settings_edges]

SETTINGS = """
[tool.mutmut]
source_paths = ["lab"]
only_mutate = ["lab/environment.py"]
also_copy = ["lab", "scripts", "tests"]
pytest_add_cli_args = ["-m", "not slow", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = ["tests/lab/test_settings.py", "tests/lab/test_edges.py"]
"""


def project(folder: Path, edges: str) -> None:
    """Write a copy of this repository that holds what the tests of the settings need."""
    ignored = shutil.ignore_patterns("recorded", "__pycache__")
    for name in ("lab", "scripts", "tests/recording", "tests/pages"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for file in [*ROOT.glob("tests/*.py"), *ROOT.glob("tests/lab/*.py")]:
        (folder / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / file.relative_to(ROOT))
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + SETTINGS)
    (folder / "tests/lab/test_edges.py").write_text("import pytest\n\nfrom lab import environment\n\n\n" + edges)


@cache
def mutate(folder: Path) -> dict[str, tuple[int, list[str]]]:
    """Return how many mutants were killed, and the names of the others: without the tests of the edges, and with."""
    found = {}
    for name, edges in (("before", ""), ("after", quoted(THIS, "settings_edges"))):
        place = folder / name
        project(place, edges)
        alive = survivors(place, PYTEST_DISABLE_PLUGIN_AUTOLOAD="")
        assert status(place, "mutmut export-cicd-stats")[0] == 0
        stats = json.loads((place / "mutants/mutmut-cicd-stats.json").read_text())
        assert stats["survived"] == len(alive)
        found[name] = stats["killed"], alive
    return found


def used() -> dict[str, str]:
    """Return the versions of what was measured."""
    return {"mutmut": version("mutmut"), "pytest": version("pytest"), "Django": version("django")}


def measure_mutants(folder: Path) -> Measurement:
    """Return how many mutants of the settings' module the tests kill."""
    found = mutate(folder)
    bars: dict[str, float] = {}
    for name, shown in (("before", "with the fast tests"), ("after", "with seven tests more")):
        killed, alive = found[name]
        bars[f"killed {shown}"] = killed
        bars[f"survived {shown}"] = len(alive)
    return Measurement(
        title="Mutants of lab/environment.py",
        description="Most mutants are killed; the tests of the edges kill some of those that survived.",
        x="outcome",
        y="mutants",
        versions=used(),
        bars=bars,
    )


def measure_functions(folder: Path) -> Measurement:
    """Return in which functions mutants survived at first."""
    alive = mutate(folder)["before"][1]
    names = [name.split(".x_")[1].split("__mutmut")[0] for name in alive]
    return Measurement(
        title="Where mutants survive",
        description="Most of the survivors are in the functions whose refusals only slow tests look at.",
        x="function",
        y="mutants that survive the fast tests",
        versions=used(),
        bars={name: names.count(name) for name in sorted(set(names), key=lambda name: -names.count(name))},
    )


@pytest.mark.measures("mutation")
def test_the_mutants_of_the_settings(
    measured: Callable[[str, Callable[[], Measurement]], Measurement], tmp_path: Path
) -> None:
    killed, alive, killed_then, alive_then = measured("mutation.json", lambda: measure_mutants(tmp_path)).bars.values()
    assert killed + alive == killed_then + alive_then > 100
    assert killed > 2 * alive
    assert alive_then < alive
    places = measured("mutation_functions.json", lambda: measure_functions(tmp_path)).bars
    assert sum(places.values()) == alive
    assert {"broker", "secret"} <= set(list(places)[:3])
