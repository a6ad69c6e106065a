"""A reader can take a challenge as an exercise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from scripts import challenge
from scripts.pages import ROOT
from tests.lab.challenges import conftest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where a reader's versions are."""
    monkeypatch.setattr(challenge, "SCRATCH", tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command line."""
    monkeypatch.setattr(sys, "argv", ["challenge", *words])
    return challenge.main()


def test_every_challenge_has_two_versions_of_the_same_files_a_test_and_three_hints_that_its_page_quotes() -> None:
    for name in challenge.names():
        slug = name.replace("-", "_")
        folder = challenge.LAB / slug
        files = [
            {
                path.relative_to(folder / version).as_posix()
                for path in (folder / version).rglob("*")
                if path.is_file() and "__pycache__" not in path.parts
            }
            for version in ("broken", "fixed")
        ]
        assert files[0] <= files[1], f"{name}: a solution may add files, and takes none away"
        assert (ROOT / "tests/lab/challenges" / f"test_{slug}.py").exists()
        page = (ROOT / f"docs/challenges/{name}.md").read_text(encoding="utf-8")
        assert len(challenge.hints(name)) >= 3
        for number in range(1, len(challenge.hints(name)) + 1):
            assert f'--8<-- "lab/challenges/{slug}/hints.md:{number}"' in page


def test_the_names_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch) == 0
    listed = capsys.readouterr().out
    assert all(f"NAME={name} " in listed for name in challenge.names())
    assert run(monkeypatch, "no-such") == 1
    assert capsys.readouterr().err == "There is no challenge no-such.\n"


def test_hints_come_one_by_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "lost-update", "--hint", "1") == 0
    first = capsys.readouterr().out
    assert run(monkeypatch, "lost-update", "--hint", "2") == 0
    assert capsys.readouterr().out != first
    for number in ("0", "9"):
        assert run(monkeypatch, "lost-update", "--hint", number) == 1
        assert capsys.readouterr().err == f"lost-update has hints 1 to {len(challenge.hints('lost-update'))}.\n"


def test_the_scratch_folder_holds_the_broken_version_without_marks(scratch: Path) -> None:
    for name in challenge.names():
        challenge.begin(name, scratch / name)
        for file in (scratch / name).rglob("*.*"):
            assert "--8<--" not in file.read_text(encoding="utf-8")


SPLIT = """from __future__ import annotations

import dataclasses

from counting import accounts_by_month


@dataclasses.dataclass
class Line:
    month: str
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["broken", "fixed"])
def test_the_readers_version_is_run(
    monkeypatch: pytest.MonkeyPatch, scratch: Path, capfd: pytest.CaptureFixture[str], version: str
) -> None:
    folder = scratch / "time-zone"
    shutil.copytree(challenge.LAB / "time_zone" / version, folder)
    if version == "fixed":  # in two files, with what needs to know its module
        (folder / "report.py").rename(folder / "counting.py")
        (folder / "report.py").write_text(SPLIT, encoding="utf-8")
    status = run(monkeypatch, "time-zone")
    said = capfd.readouterr().out
    if version == "broken":
        assert status == 1
        assert "1 failed" in said
        assert "make challenge NAME=time-zone HINT=1" in said
    else:
        assert status == 0
        assert "1 passed" in said
        assert "Solved" in said


@pytest.mark.parametrize(("solution", "outcome"), [("challenges/lost-update", "failed"), (None, "skipped")])
def test_without_its_server_a_challenge_is_not_solved(solution: str | None, outcome: str) -> None:
    item = SimpleNamespace(config=SimpleNamespace(getoption={"solution": solution}.get))
    report = SimpleNamespace(skipped=True, outcome="skipped")
    hook = conftest.pytest_runtest_makereport(item)  # type: ignore[arg-type]
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)  # type: ignore[arg-type]
    assert report.outcome == outcome


@pytest.mark.slow
def test_make_knows_the_command() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "challenge", "NAME=lost-update", "HINT=2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "scripts.challenge lost-update --hint 2" in done.stdout
