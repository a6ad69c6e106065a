"""A project says what it needs, and what its wheel tells others of it."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.lab.python.packages import NEEDED, Desk, Indexes, academy, alone, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Play = Callable[[str], str]

pytestmark = [NEEDED, pytest.mark.slow]

LAB = ROOT / "lab" / "python"
PROJECT = LAB / "dependencies"
LETTER = """

def letter(*, {0}: int) -> str:
    return "A" if {0} >= 90 else "B"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The project gradebook, and an index with what it needs."""
    mine = release("academy-grades", "1.1", "academy-scale>=1,<2", code=LETTER.format("points"))
    with alone(), Indexes(pypi=academy()) as indexes:
        indexes.publish(mine, release("academy-exports", "1.0", "academy-grades==1.1"))
        indexes.publish(release("academy-reports", "1.0", "academy-grades==1.0"))
        desk = Desk(tmp_path, indexes)
        desk.put(PROJECT, "gradebook")
        yield desk


def test_the_command_of_the_project(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "academy_grades", SimpleNamespace(letter=lambda points: "A" if points else "?"))
    spec = importlib.util.spec_from_file_location("cli", PROJECT / "src" / "gradebook" / "cli.py")
    assert spec
    assert spec.loader
    cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cli)
    cli.main()
    assert capsys.readouterr().out == "Ama: A\n"


def test_a_release_for_another_python_is_passed_over(desk: Desk) -> None:
    newest = release("academy-grades", "1.9", "academy-scale>=1,<2")
    desk.indexes.publish(replace(newest, python=">=3.99"))
    assert desk.run("uv sync --quiet", folder="gradebook")[0][1] == 0
    assert "academy-grades==1.1" in desk.run("uv pip freeze", folder="gradebook")[0][0]


def test_an_editable_install_runs_the_source(play: Play) -> None:
    text = play("dependencies_editable.console")
    assert "Ama: A" in text
    assert "Esi: A" in text


def test_a_src_layout_cannot_be_imported_by_accident(play: Play) -> None:
    assert "ModuleNotFoundError" in play("dependencies_src.console")


def test_what_is_in_the_wheel(play: Play) -> None:
    text = play("dependencies_wheel.console")
    assert "Requires-Dist: academy-grades>=1.1,<2" in text
    assert "academy-checks" not in text  # a dependency group stays at home
    assert "academy-exports==1.0" in play("dependencies_extra.console")


def test_libraries_that_pin_cannot_be_installed_together(play: Play, desk: Desk) -> None:
    assert desk.run("python -m venv --without-pip .venv", folder="gradebook")[0][1] == 0
    text = play("dependencies_collision.console")
    assert "ResolutionImpossible" in text
    assert "your requirements are unsatisfiable" in text


def test_a_minor_release_breaks_a_caller(play: Play, desk: Desk) -> None:
    assert desk.run("uv sync --quiet", folder="gradebook")[0][1] == 0
    desk.indexes.publish(release("academy-grades", "1.2", "academy-scale>=1,<2", code=LETTER.format("score")))
    assert "TypeError" in play("dependencies_semver.console")


def test_freeze_lists_what_nobody_asked_for(play: Play, desk: Desk) -> None:
    assert desk.run("python -m venv --without-pip .venv", folder="gradebook")[0][1] == 0
    assert play("dependencies_freeze.console").endswith("academy-checks==1.0\nacademy-scale==1.1\n")
