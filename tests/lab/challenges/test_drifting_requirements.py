"""The same repository is installed on three days, from an index that does not stand still."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.lab.python.packages import NEEDED, Desk, Indexes, academy, alone, release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

pytestmark = [NEEDED, pytest.mark.slow]

LAB = ROOT / "lab/challenges/drifting_requirements"  # broken/ and fixed/: lock.sh, install.sh, requirements.in
NEWER = [
    release("academy-scale", "1.2", uploaded="2026-09-07T09:00:00Z"),
    release("academy-grades", "1.2", "academy-scale>=1,<2", uploaded="2026-09-07T09:00:00Z"),
]
REPLACED = release("academy-scale", "1.1", code='print("nobody reviewed this")\n', uploaded="2026-03-02T09:00:00Z")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Several machines, and an index."""
    with alone(), Indexes(pypi=academy()) as indexes:
        yield Desk(tmp_path, indexes)


def index(desk: Desk) -> dict[str, str]:
    """Return the variables by which pip and uv find the index, and nothing else."""
    return {"PIP_INDEX_URL": desk.indexes.url(), "UV_DEFAULT_INDEX": desk.indexes.url()}


def replace(desk: Desk) -> None:
    """Let Wednesday come: the newer releases are withdrawn, and the file of an older one is another."""
    desk.indexes.releases["pypi"] = academy()
    desk.indexes.publish(REPLACED)


def machine(desk: Desk, day: str, repository: Path) -> str:
    """Install a copy of the repository on a machine without a cache; return what is there then."""
    folder = desk.home / day
    shutil.copytree(repository, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    shutil.rmtree(desk.home / ".cache", ignore_errors=True)
    ((_, status),) = desk.run("bash install.sh", folder=day, **index(desk))
    found = sorted(folder.glob(".venv/lib/*/site-packages/academy*.dist-info"))
    packages = [re.sub(r"_(\w+)-", r"-\1 ", path.name.removesuffix(".dist-info")) for path in found]
    code = "".join(path.read_text() for path in folder.glob(".venv/lib/*/site-packages/academy*.py"))
    packages += ["code of a stranger"] if "nobody reviewed this" in code else []
    return "refused" if status else ", ".join(packages)


@pytest.mark.broken("drifting_requirements.txt")
@pytest.mark.wrong("lab/challenges/drifting_requirements/broken/lock.sh:wrong_lock")
@pytest.mark.wrong("lab/challenges/drifting_requirements/broken/install.sh:wrong_install")
def test_what_was_tested_is_what_is_installed(version: Version, desk: Desk) -> None:
    repository = desk.put(version.folder, "repository")
    assert (repository / "requirements.in").read_text(encoding="utf-8") == "academy-grades>=1,<2\n", "what is wanted"
    ((text, status),) = desk.run("bash lock.sh", folder="repository", **index(desk))
    assert status == 0, text
    days = {"Monday, tested:": machine(desk, "monday", repository)}
    assert days["Monday, tested:"] == "academy-grades 1.1, academy-scale 1.1"
    desk.indexes.publish(*NEWER)
    days["Tuesday, newer releases:"] = machine(desk, "tuesday", repository)
    replace(desk)
    days["Wednesday, a replaced file:"] = machine(desk, "wednesday", repository)
    tested, newer, replaced = days.values()
    if newer != tested or replaced not in ("refused", tested):
        raise AssertionError("\n".join(["three machines, one repository", *map(" ".join, days.items())]))


def test_what_is_locked(desk: Desk, record: Recorder) -> None:
    desk.put(LAB / "fixed", "repository")
    lock = "bash lock.sh && grep -v '^#' requirements.txt"
    ((text, status),) = desk.run(lock, folder="repository", **index(desk))
    assert status == 0
    record("drifting_requirements_lock.txt", desk.plain(text))
    assert text.count("sha256:") == 2


def test_a_name_with_a_version_pins_neither_the_others_nor_the_bytes(desk: Desk) -> None:
    for name in ("one", "all"):
        folder = desk.put(LAB / "broken", name)
        pins = "academy-grades==1.1\n" + ("academy-scale==1.1\n" if name == "all" else "")
        (folder / "requirements.txt").write_text(pins, encoding="utf-8")
    desk.indexes.publish(*NEWER)
    assert machine(desk, "one-tuesday", desk.home / "one") == "academy-grades 1.1, academy-scale 1.2"
    assert machine(desk, "all-tuesday", desk.home / "all") == "academy-grades 1.1, academy-scale 1.1"
    replace(desk)
    for name in ("one", "all"):
        assert machine(desk, f"{name}-wednesday", desk.home / name).endswith("1.1, code of a stranger")


def test_a_lock_moves_when_it_is_told_to(desk: Desk) -> None:
    desk.put(LAB / "fixed", "repository")
    desk.run("bash lock.sh", folder="repository", **index(desk))
    desk.indexes.publish(*NEWER)
    upgrade = (LAB / "fixed" / "lock.sh").read_text(encoding="utf-8").replace("compile", "compile --upgrade")
    (desk.home / "repository" / "upgrade.sh").write_text(upgrade, encoding="utf-8")
    locks = ("cp requirements.txt before && bash lock.sh", "rm requirements.txt && bash lock.sh")
    kept, moved, upgraded = (
        desk.run(f"{lock} && cat requirements.txt", folder="repository", **index(desk))[0][0]
        for lock in (*locks, "cp before requirements.txt && bash upgrade.sh")
    )
    assert "academy-grades==1.1" in kept
    assert "academy-grades==1.2" in moved
    assert "academy-grades==1.2" in upgraded
