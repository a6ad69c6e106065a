"""What a lock file holds still, what its hashes refuse, and what it cannot know."""

from __future__ import annotations

import datetime
import re
import tomllib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.lab.python.packages import NEEDED, Desk, Indexes, academy, alone, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.recording.files import Recorder

    Play = Callable[[str], str]

pytestmark = [NEEDED, pytest.mark.slow]

LAB = ROOT / "lab" / "python"
NEWER = [
    release("academy-scale", "1.2", uploaded="2026-09-07T09:00:00Z"),
    release("academy-grades", "1.2", "academy-scale>=1,<2", uploaded="2026-09-07T09:00:00Z"),
]
LOCKS = ("pylock.toml", "Pipfile.lock", "poetry.lock", "uv.lock")
TAMPERED = release(
    "academy-grades",
    "1.1",
    "academy-scale>=1,<2",
    code='print("nobody reviewed this")\n',
    uploaded="2026-04-06T09:00:00Z",
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A project that is locked, and an index."""
    with alone(), Indexes(pypi=academy()) as indexes:
        desk = Desk(tmp_path, indexes)
        desk.put(LAB / "lock_files", "gradebook")
        ((text, status),) = desk.run("uv lock", folder="gradebook")
        assert status == 0, text
        yield desk


def lock(desk: Desk) -> str:
    """Return the lock file."""
    return (desk.home / "gradebook" / "uv.lock").read_text(encoding="utf-8")


def test_what_is_in_a_lock_file(play: Play, desk: Desk) -> None:
    (desk.home / "gradebook" / "uv.lock").unlink()
    assert 'hash = "sha256:' in play("lock_files_lock.console")


def test_a_new_release_does_not_move_what_is_locked(play: Play, desk: Desk) -> None:
    before = lock(desk)
    desk.indexes.publish(*NEWER)
    locked, unlocked = play("lock_files_moves.console").split("uv venv")
    assert "academy-grades==1.1\nacademy-scale==1.1" in locked
    assert "academy-grades==1.2\nacademy-scale==1.2" in unlocked
    assert lock(desk) == before


def test_an_upgrade_moves_what_is_named(play: Play, desk: Desk) -> None:
    desk.indexes.publish(*NEWER)
    commit = "git init --quiet && git add . && git commit --quiet -m 'Lock the packages'"
    assert desk.run(commit, folder="gradebook")[0][1] == 0
    one, everything = play("lock_files_upgrade.console").rsplit("$ ", 1)
    assert "academy-scale" not in one
    assert "Updated academy-scale v1.1 -> v1.2" in everything


def test_hashes_refuse_a_wheel_that_was_replaced(play: Play, desk: Desk) -> None:
    assert desk.run("uv export --quiet -o requirements.txt", folder="gradebook")[0][1] == 0
    desk.indexes.publish(TAMPERED)
    assert "nobody reviewed this" in play("lock_files_tampered_none.console")
    assert desk.run("rm -rf .venv ~/.cache", folder="gradebook")[0][1] == 0
    assert "Hash mismatch" in play("lock_files_tampered_uv.console")
    assert desk.run("rm -rf .venv", folder="gradebook")[0][1] == 0
    assert "DO NOT MATCH THE HASHES" in play("lock_files_tampered_pip.console")


def test_a_yanked_release_is_for_those_who_locked_it(play: Play, desk: Desk) -> None:
    desk.indexes.publish(*NEWER)
    lock_it = "uv lock --quiet --upgrade && uv export --quiet -o requirements.txt"
    assert desk.run(lock_it, folder="gradebook")[0][1] == 0
    desk.indexes.publish(replace(NEWER[1], yanked="rounds grades down"))
    _, free, named, locked = play("lock_files_yanked.console").split("$ ")[1:]
    assert "+ academy-grades==1.1" in free
    assert "`academy-grades==1.2` is yanked" in named
    assert "+ academy-grades==1.2" in locked
    assert "yanked" not in locked
    desk.indexes.asked.clear()
    assert desk.run("rm -rf .venv ~/.cache && uv sync --locked", folder="gradebook")[0][1] == 0
    assert {path.split("/")[2] for path in desk.indexes.asked} == {
        "files"
    }  # it asks for files, and no list of releases
    made, (text, status) = desk.run(
        "python -m venv --without-pip --clear .venv",
        "pip --python .venv install --quiet -r requirements.txt",
        folder="gradebook",
        PIP_INDEX_URL=desk.indexes.url(),
    )
    assert made[1] == status == 0
    assert "Reason for being yanked: rounds grades down" in text
    assert "Updated academy-grades v1.2 -> v1.1" in desk.run("uv lock --upgrade", folder="gradebook")[0][0]


def test_the_highest_version_of_any_index_wins_with_pip(play: Play, desk: Desk) -> None:
    desk.indexes.releases["company"] = [release("academy-payroll", "1.4")]
    desk.indexes.publish(release("academy-payroll", "99.0", code='print("code of a stranger")\n'))
    assert desk.run("python -m venv --without-pip .venv", folder="gradebook")[0][1] == 0
    assert "code of a stranger" in play("lock_files_confusion_pip.console")
    assert desk.run("uv venv --quiet --clear", folder="gradebook")[0][1] == 0
    first, second = play("lock_files_confusion_uv.console").rsplit("$ ", 1)
    assert "academy-payroll==1.4" in first
    assert "to avoid dependency confusion attacks" in second


def test_a_cooldown_leaves_out_what_is_new(play: Play, desk: Desk) -> None:
    desk.indexes.publish(*NEWER)
    assert desk.run("uv venv --quiet", folder="gradebook")[0][1] == 0
    text = play("lock_files_cooldown.console")
    assert "academy-grades==1.1" in text
    assert "Would install academy-grades-1.1 academy-scale-1.1" in text
    assert "1.2" not in text


NEW = "python -m venv --clear --without-pip .venv"
COOLDOWN = {
    "pip": ("pip --python .venv lock --quiet --group app --uploaded-prior-to P7D", ""),
    "pipenv": ("pipenv lock --quiet", '\n[pipenv]\ncool-down-period = "7d"\n'),
    "poetry": ("poetry config --local solver.min-release-age 7 && poetry lock", ""),
    "uv": ("uv lock", '\n[tool.uv]\nexclude-newer = "7 days"\n'),
}


@pytest.mark.parametrize("tool", COOLDOWN)
def test_a_cooldown_is_a_setting_of_each(desk: Desk, tool: str) -> None:
    today = datetime.datetime.now(datetime.UTC)
    fresh, old = ((today - datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ") for days in (6, 8))
    desk.indexes.publish(*(replace(newer, uploaded=fresh) for newer in NEWER))
    desk.indexes.publish(release("academy-clock", "1.1", uploaded=old))
    plan(desk, tool)
    command, setting = COOLDOWN[tool]
    path = desk.home / tool / ("Pipfile" if tool == "pipenv" else "pyproject.toml")
    path.write_text(path.read_text(encoding="utf-8") + setting, encoding="utf-8")
    _, (text, status) = desk.run(NEW, command, folder=tool, PIP_INDEX_URL=desk.indexes.url())
    assert status == 0, text
    (locked,) = [found for name in LOCKS if (found := desk.home / tool / name).exists()]
    lines = locked.read_text(encoding="utf-8")
    for name in ("academy-clock", "academy-grades", "academy-scale"):
        version = re.search(rf'"{name}".*?version"?\W+(1\.\d)"', lines, re.DOTALL)
        assert version, f"{name} is not in {locked}"
        assert version[1] == "1.1", f"took {name} {version[1]}"  # 1.2 is too fresh, and 1.1 of the clock not


def test_an_audit_sends_names_and_versions_and_knows_no_more(play: Play, desk: Desk) -> None:
    desk.indexes.advisories["academy-grades", "1.1"] = {
        "id": "ACADEMY-2026-7",
        "modified": "2026-10-01T00:00:00Z",
        "published": "2026-10-01T00:00:00Z",
        "summary": "Anyone can read a grade",
    }
    assert "ACADEMY-2026-7" in play("lock_files_audit.console")
    assert sorted(question["name"] for question in desk.indexes.questions) == [
        "academy-clock",
        "academy-grades",
        "academy-scale",
        "academy-tzdata",
    ]
    assert all(set(question) == {"name", "version"} for question in desk.indexes.questions)
    desk.indexes.advisories.clear()
    desk.indexes.publish(TAMPERED)
    assert "Found no known vulnerabilities" in play("lock_files_audit_green.console")
    assert "cannot be performed in offline mode" in play("lock_files_audit_offline.console")
    nobody = "uv audit --locked --preview-features audit-command --service-url http://127.0.0.1:1"
    ((text, status),) = desk.run(nobody, folder="gradebook", UV_HTTP_RETRIES="0")
    assert status == 2, text


WRITERS = {
    "pip": ("pip --python .venv lock --quiet --group app",),
    "pipenv": ("pipenv lock --quiet", "pipenv pylock --generate"),
    "poetry": ("poetry lock", "poetry export --format pylock.toml --output pylock.toml"),
    "uv": ("uv lock --quiet", "uv export --quiet --format pylock.toml --output-file pylock.toml"),
}
READERS = {
    "pip": "pip --python .venv install -r pylock.toml",
    "uv": "uv pip sync --quiet --preview-features pylock pylock.toml",
}


def plan(desk: Desk, tool: str) -> None:
    """Write the plan of the project as a tool reads it."""
    folder = desk.put(LAB / "package_managers" / tool, tool)
    path = folder / ("Pipfile" if tool == "pipenv" else "pyproject.toml")
    text = path.read_text(encoding="utf-8")
    text = text.replace("dependencies = []", 'dependencies = ["academy-grades (>=1,<2)", "academy-clock"]')
    text = text.replace("[packages]\n", '[packages]\nacademy-grades = ">=1,<2"\nacademy-clock = "*"\n')
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[str]]]:
    """``standard("uv")`` is a row of the table: what is in the pylock.toml of a tool, and who installs from it."""
    with alone(), Indexes(pypi=academy()) as indexes:
        desk = Desk(tmp_path_factory.mktemp("standard"), indexes)
        yield cache(lambda tool: row(desk, tool))


def row(desk: Desk, tool: str) -> list[str]:
    """Let a tool write a pylock.toml, and pip and uv install from it."""
    index = {"PIP_INDEX_URL": desk.indexes.url()}
    plan(desk, tool)
    for text, status in desk.run(NEW, *WRITERS[tool], folder=tool, **index):
        assert status == 0, text
    found = tomllib.loads((desk.home / tool / "pylock.toml").read_text(encoding="utf-8"))
    assert found["lock-version"] == "1.0"
    windows = [package for package in found["packages"] if package["name"] == "academy-tzdata"]
    cells = ["with their marker" if windows and "win32" in windows[0]["marker"] else "left out"]
    for reader in READERS.values():
        *_, (text, status) = desk.run(NEW, reader, folder=tool, **index)
        there = desk.home.glob(f"{tool}/.venv/lib/*/site-packages/academy*.dist-info")
        if status == 0:
            names = {path.name.removesuffix(".dist-info") for path in there}
            assert names == {"academy_grades-1.1", "academy_scale-1.1", "academy_clock-1.0"}
            cells.append("yes")
        else:  # an empty list of environments means: none
            assert found["environments"] == []
            assert text == "error: The target environment is not supported by the lockfile"
            cells.append("no: `environments = []`")
    return cells


@pytest.mark.parametrize("tool", WRITERS)
def test_pip_installs_the_standard_format_of_each(standard: Callable[[str], list[str]], tool: str) -> None:
    assert standard(tool)[1] == "yes"


def test_who_writes_the_standard_format_and_who_reads_it(
    record: Recorder, standard: Callable[[str], list[str]]
) -> None:
    rows = ["| `pylock.toml` by | Packages for Windows | pip installs it | uv installs it |", "| --- " * 4 + "|"]
    writers = {"pip": "pip lock", "pipenv": "pipenv pylock", "poetry": "poetry export", "uv": "uv export"}
    rows += [f"| `{command}` | {' | '.join(standard(tool))} |" for tool, command in writers.items()]
    record("lock_files_pylock.md", "\n".join(rows))
