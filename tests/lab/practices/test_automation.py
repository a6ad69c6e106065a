"""What this repository leaves to machines, what each check finds, and what it costs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest
import yaml

from lab.practices.automation import untitled, wrong_untitled
from scripts.pages import ROOT
from tests.lab.production import kept
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

BIN = Path(sys.executable).parent
MAKEFILE = ROOT / "Makefile"


def recipe(target: str) -> list[str]:
    """Return the lines under a target of the Makefile."""
    found = re.search(rf"(?m)^{target}:.*\n((?:\t.*\n)+)", MAKEFILE.read_text(encoding="utf-8"))
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def test_the_recipe_of_check(record: Recorder) -> None:
    lines = recipe("check")
    record("automation_check.mk", "\n".join(["check:", *(f"\t{line}" for line in lines)]))
    ours = [line for line in lines if "python -m scripts." in line]
    installs, tools = lines[:1], [line for line in lines[1:] if line not in ours]
    assert "install" in installs[0]
    assert (len(ours), len(tools)) == (4, 7)
    assert "PYTEST" in lines[-1], "the tests come last"


def test_the_hosted_machine_types_the_same_commands() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", MAKEFILE.read_text(encoding="utf-8")))
    typed = set()
    for file in (ROOT / ".github/workflows").glob("*.yml"):
        for job in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].values():
            typed |= {step["run"] for step in job["steps"] if "run" in step}
    assert typed
    assert all(re.fullmatch(r"make ([a-z]+)", line) and line.split()[1] in targets for line in typed)
    assert "$(MAKE) --no-print-directory check" in "\n".join(recipe("test"))


def test_what_dependabot_looks_after(record: Recorder) -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]
    rows = ["| Looks after | How often | Waits | In one pull request |", "| --- | --- | --- | --- |"]
    for update in updates:
        grouped = "yes" if any(group["patterns"] == ["*"] for group in update.get("groups", {}).values()) else "no"
        days = update["cooldown"]["default-days"]
        rows.append(f"| {update['package-ecosystem']} | {update['schedule']['interval']} | {days} days | {grouped} |")
    record("automation_dependabot.md", "\n".join(rows))


# What each check finds

GOOD = '''"""The length of a course."""


def minutes(hours: int) -> int:
    """Return how many minutes that is."""
    return hours * 60
'''
MISTAKES = {
    "layout": (GOOD.replace("hours * 60", "hours*60"), "`hours*60`"),
    "unused": (GOOD.replace("\n\n\ndef", "\n\nimport os\n\n\ndef"), "`import os`, never used"),
    "kind": (
        GOOD.replace("    return", '    if hours < 0:\n        return "none"\n    return'),
        "a text where `int` is promised, in a branch that no test runs",
    ),
    "letters": (GOOD.replace("many", "man" + "ny").replace("Return", "Retu" + "nr"), "a misspelled word"),
    "result": (GOOD.replace("60", "6"), "`hours * 6`"),
}
TEST = "from {} import minutes\n\n\ndef test_an_hour():\n    assert minutes(1) == 60\n"


def refusals(folder: Path) -> dict[str, set[str]]:
    """Return the files that each tool refuses, by the name of the tool."""
    for name, (code, _) in {**MISTAKES, "good": (GOOD, "")}.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
        (folder / f"test_{name}.py").write_text(TEST.format(name), encoding="utf-8")
    names = [f"{name}.py" for name in (*MISTAKES, "good")]
    config = f"--config={ROOT / 'pyproject.toml'}"
    tools = {
        "formatter": [BIN / "ruff", "format", "--check", "--no-cache", config, *names],
        "linter": [BIN / "ruff", "check", "--output-format=concise", "--no-cache", "--select=F,E,I", *names],
        "types": [BIN / "mypy", "--strict", "--config-file=", "--cache-dir=/dev/null", *names],
        "spelling": [BIN / "typos", "--isolated", "--format=brief", *names],
        "tests": [BIN / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django", "-c", "/dev/null"],
    }
    found = {}
    for tool, command in tools.items():
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=kept("HOME", "LANG"),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if not line.startswith(("test_", "Found", "_"))]
        pattern = r"test_(\w+)\.py::" if tool == "tests" else r"\b(\w+)\.py\b"
        found[tool] = set(re.findall(pattern, "\n".join(lines)))
        assert done.returncode, f"{tool}: {done.stdout}{done.stderr}"
    return found


@pytest.mark.slow
def test_each_check_finds_what_the_others_miss(tmp_path: Path, record: Recorder) -> None:
    found = refusals(tmp_path)
    rows = ["| Mistake | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    for name, (_, words) in MISTAKES.items():
        marks = ["refuses" if name in files else "passes" for files in found.values()]
        rows.append(f"| {words} | {' | '.join(marks)} |")
    record("automation_finds.md", "\n".join(rows))
    assert all("good" not in files for files in found.values())
    assert all(files for files in found.values())
    for name in MISTAKES:
        assert sum(name in files for files in found.values()) == 1, (name, found)


# What each check costs


def commands() -> dict[str, list[str]]:
    """Return the checks of `make check` that are one quick program each."""
    wanted = {
        "ruff check": "linter",
        "ruff format": "formatter",
        "typos": "spelling",
        "rumdl": "layout of pages",
        "scripts.proof --check": "proof of every block",
        "mypy": "types",
    }
    lines = {name: line for key, name in wanted.items() for line in recipe("check") if key in line}
    assert len(lines) == len(wanted)
    return {
        name: shlex.split(line.removeprefix("@").replace("$(BIN)", shlex.quote(str(BIN))))
        for name, line in lines.items()
    }


def measure(repetitions: int, names: set[str] | None = None) -> Measurement:
    """Run each check on the whole repository, in turns, after a first run that fills the caches."""
    times: dict[str, list[float]] = {}
    for _ in range(repetitions + 1):
        for name, command in commands().items():
            if names and name not in names:
                continue
            start = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
            times.setdefault(name, []).append(time.perf_counter() - start)
            assert done.returncode in (0, 1), done.stderr.decode()
    return Measurement(
        title="The checks of this repository, one by one",
        description="The linter and the formatter answer first; the proof of every block takes many times as long.",
        x="the check",
        y="seconds",
        versions={name: version(name) for name in ("ruff", "typos", "rumdl", "mypy")},
        bars={name: round(median(found[1:] or found), 2) for name, found in times.items()},
    )


@pytest.mark.measures("checks")
@pytest.mark.slow
def test_what_each_check_costs(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    bars = measured("checks.json", lambda: measure(3)).bars
    assert max(bars["linter"], bars["formatter"]) * 10 < bars["proof of every block"]
    assert set(measure(0, {"linter", "formatter"}).bars) == {"linter", "formatter"}


# What goes wrong


@pytest.mark.wrong("lab/practices/automation.py:wrong_untitled")
def test_a_check_that_sees_nothing(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "a.md").write_text("# A title\n", encoding="utf-8")
    (pages / "b.md").write_text("No title\n", encoding="utf-8")
    assert untitled(pages) == wrong_untitled(pages) == ["b.md"]
    pages.rename(tmp_path / "moved")
    pages.mkdir()
    assert wrong_untitled(pages) == []
    with pytest.raises(FileNotFoundError, match="no pages in pages/"):
        untitled(pages)
