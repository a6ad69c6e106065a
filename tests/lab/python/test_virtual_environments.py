"""What a virtual environment is, shown on a copied Python that a test may spoil."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.lab.python.packages import MANAGERS, NEEDED, Desk, Indexes, academy, alone, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Play = Callable[..., str]

pytestmark = [NEEDED, pytest.mark.slow]

LAB = ROOT / "lab" / "python"
FOLDER = "gradebook"
MAIN = """

def main() -> None:
    print("the grades are in order")


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An empty project, and an index."""
    checks = release("academy-checks", "1.0", code=MAIN, scripts="academy-checks = academy_checks:main")
    with alone(), Indexes(pypi=academy()) as indexes:
        indexes.publish(checks, release("academy-exports", "1.0", "academy-grades==1.1"))
        indexes.publish(release("academy-reports", "1.0", "academy-grades==1.0"))
        (tmp_path / FOLDER).mkdir()
        yield Desk(tmp_path, indexes)


@pytest.fixture
def play(record: Recorder, desk: Desk) -> Play:
    """``play("virtual_environments_disk.console")`` runs a recorded session again in the project and compares it."""

    def again(name: str) -> str:
        index = {"PIP_INDEX_URL": desk.indexes.url(), "UV_DEFAULT_INDEX": desk.indexes.url()}
        text = desk.play(LAB / "recorded" / name, FOLDER, **index)
        text = text.replace(base_prefix(), "/usr").replace(str(desk.home), "~")
        text = re.sub(r"(?m)^(version = 3\.\d+)\..*", r"\1.…", text)
        record(name, text)
        return text

    return again


def base_prefix() -> str:
    """Return the prefix of the Python that the environment of the managers stands on."""
    text = (MANAGERS.parent / "pyvenv.cfg").read_text(encoding="utf-8")
    found = re.search(r"(?m)^home = (.*)/bin$", text)
    assert found
    return found[1]


def scratch_python(folder: Path) -> None:
    """Make a Python that is no environment, out of copies and links, with pip and nothing else in it."""
    base = Path(base_prefix())
    binary = next(path for path in sorted((base / "bin").glob("python3.*")) if re.fullmatch(r"python3\.\d+", path.name))
    library = folder / "lib" / binary.name
    (library / "site-packages").mkdir(parents=True)
    (folder / "bin").mkdir()
    shutil.copy(binary, folder / "bin" / "python")
    for path in (base / "lib" / binary.name).iterdir():
        if path.name not in {"site-packages", "dist-packages", "EXTERNALLY-MANAGED"}:
            (library / path.name).symlink_to(path)
    for path in (MANAGERS.parent / "lib" / binary.name / "site-packages").glob("pip*"):
        if path.name == "pip" or re.fullmatch(r"pip-[\d.]+\.dist-info", path.name):
            (library / "site-packages" / path.name).symlink_to(path)


def test_what_is_on_disk_and_how_python_finds_it(play: Play) -> None:
    assert "include-system-site-packages = false" in play("virtual_environments_disk.console")
    assert re.findall(r"(True|False)$", play("virtual_environments_prefix.console"), re.MULTILINE) == ["True", "False"]


def test_activation_changes_four_variables(play: Play, desk: Desk) -> None:
    assert desk.run("python -m venv --without-pip .venv", folder=FOLDER)[0][1] == 0
    text = play("virtual_environments_activate.console")
    assert "\nPATH\n" in text
    assert "~/gradebook/.venv/bin\n" in text


def test_two_projects_collide_in_one_python(play: Play, desk: Desk) -> None:
    scratch_python(desk.home / FOLDER / "shared")
    text = play("virtual_environments_collision.console")
    assert "academy-reports 1.0 requires academy-grades==1.0, but you have academy-grades 1.1" in text
    apart = play("virtual_environments_apart.console")
    assert "academy-grades==1.0" in apart
    assert "academy-grades==1.1" in apart


def test_a_python_of_the_system_refuses(play: Play, desk: Desk) -> None:
    scratch_python(desk.home / FOLDER / "shared")
    desk.put(LAB / "virtual_environments", FOLDER)
    assert "error: externally-managed-environment" in play("virtual_environments_managed.console")


def test_an_environment_that_moved_is_broken(play: Play, desk: Desk) -> None:
    text = play("virtual_environments_moved.console")
    assert "No such file or directory" in text
    script = desk.run(".venv/bin/academy-checks", folder="renamed")
    assert script[0][1] in {126, 127}  # what bash says of it differs between its releases
    assert text.endswith("…/bin/python\n")


def test_an_environment_of_uv_has_no_pip(play: Play) -> None:
    assert "No module named pip" in play("virtual_environments_pip.console")


def test_a_tool_gets_an_environment_of_its_own(play: Play) -> None:
    assert play("virtual_environments_tool.console").endswith("the grades are in order\n")


def test_git_does_not_see_an_ignored_environment(play: Play) -> None:
    assert play("virtual_environments_git.console").endswith("?? .gitignore\n")
