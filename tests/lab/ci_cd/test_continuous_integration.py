"""Two branches that pass alone and fail together, a queue that notices, and a gate that lets nothing slip."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from scripts.pages import ROOT
from tests.lab.ci_cd.workflows import EXAMPLES, content, run, steps
from tests.recording import shell as shells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder

SEATS = """def seats_left(seats: int, enrolled: int) -> int:
    return max(seats - enrolled, 0)
"""
TEST = """import seats


def test_an_overbooked_course_has_no_seat_left() -> None:
    assert seats.seats_left(30, 31) == 0
"""
WAITING = """import seats


def invited(waiting: list[str], size: int, enrolled: int) -> list[str]:
    return waiting[: seats.seats_left(size, enrolled)]
"""
TEST_WAITING = """import waiting


def test_a_free_seat_goes_to_who_waits_longest() -> None:
    assert waiting.invited(["Ama", "Kofi"], 30, 29) == ["Ama"]
"""
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
# A dot for each test that passes, a line for each that fails: nothing that differs from run to run.
SETTINGS = "[pytest]\naddopts = -qq -rN --tb=line -p no:cacheprovider\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the branches main, rename and waiting."""
    (tmp_path / "seats.py").write_text(SEATS, encoding="utf-8")
    (tmp_path / "test_seats.py").write_text(TEST, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / ".gitignore").write_text(".gitconfig\n", encoding="utf-8")
    start = [
        "git init -q",
        "git config --global advice.detachedHead false",
        "git config --global core.abbrev 7",
        "git add . && git commit -q -m 'Count the seats that are left'",
        "git switch -q -c rename",
        "sed -i s/seats_left/free_seats/ seats.py test_seats.py",
        "git commit -q -am 'Call them free seats'",
        "git switch -q -c waiting main",
    ]
    ran(start, tmp_path)
    (tmp_path / "waiting.py").write_text(WAITING, encoding="utf-8")
    (tmp_path / "test_waiting.py").write_text(TEST_WAITING, encoding="utf-8")
    ran(["git add . && git commit -q -m 'Invite who waits'", "git switch -q main"], tmp_path)
    return tmp_path


def ran(commands: list[str], folder: Path) -> None:
    """Run commands, all of which succeed."""
    for command, (output, status) in zip(commands, shells.run(commands, folder), strict=True):
        assert status == 0, (command, output)


@pytest.mark.slow
def test_two_branches_that_pass_alone_fail_together(shell: Callable[..., None], repository: Path) -> None:
    shell("continuous_integration_together.console", **QUICK)


@pytest.mark.slow
def test_a_queue_tests_what_main_would_become(shell: Callable[..., None], repository: Path) -> None:
    shell("continuous_integration_queue.console", **QUICK)


@pytest.mark.slow
def test_a_red_main_is_reverted_first(shell: Callable[..., None], repository: Path) -> None:
    merged = ["git merge -q --no-ff --no-edit rename", "git merge -q --no-ff --no-edit waiting"]
    ran(merged, repository)
    shell("continuous_integration_revert.console", **QUICK)


# The gate -------------------------------------------------------------------------------------------

ENDINGS = [("success", "success"), ("failure", "skipped"), ("success", "cancelled"), ("cancelled", "skipped")]


@pytest.mark.wrong("lab/ci_cd/workflows/wrong_gate.yml:wrong_gate")
def test_the_gate_lets_nothing_but_success_pass(record: Recorder, tmp_path: Path) -> None:
    (hasty,) = (step for step in steps(EXAMPLES / "wrong_gate.yml") if step.job == "gate")
    (careful,) = (step for step in steps(EXAMPLES / "merge_queue.yml") if step.job == "gate")
    table = ["| `fast` | `slow` | Nothing failed | Everything succeeded |", "| --- | --- | --- | --- |"]
    passed: dict[tuple[str, str], list[bool]] = {}
    for fast, slow in ENDINGS:
        context: dict[str, Any] = {"needs": {"fast": {"result": fast}, "slow": {"result": slow}}}
        found = [run(step, tmp_path, context).returncode == 0 for step in (hasty, careful)]
        passed[fast, slow] = found
        words = ["passes" if good else "fails" for good in found]
        table.append(f"| {fast} | {slow} | {words[0]} | {words[1]} |")
    assert [careful for _, careful in passed.values()] == [True, False, False, False]
    assert passed["cancelled", "skipped"] == [True, False]
    record("continuous_integration_gate.md", "\n".join(table))


def test_the_gate_waits_for_every_job_whatever_happens_to_them() -> None:
    workflow = content(EXAMPLES / "merge_queue.yml")
    jobs = dict(workflow["jobs"])
    gate = jobs.pop("gate")
    assert gate["if"] == "always()"
    assert set(gate["needs"]) == set(jobs)
    assert set(workflow["on"]) == {"pull_request", "merge_group"}
    assert "paths" not in str(workflow["on"])


def test_make_test_runs_the_cheap_checks_first(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)

    def programs(target: str) -> list[str]:
        done = subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True)
        lines = [line.replace(".venv/bin/", "").removesuffix(" .ci/run") for line in done.stdout.splitlines()]
        return [line for line in lines if not re.match(r"make|scripts/install|date|echo|COVERAGE", line)]

    check, everything = programs("check"), programs("test")
    *static, fast = check
    assert everything[: len(static)] == static
    assert everything[len(static)].startswith(fast)  # without the lab's tests, which run as a whole
    assert "build" in check[0]
    assert all("pytest" not in line for line in check[:-1])  # the tests come last
    assert "not slow" in check[-1]
