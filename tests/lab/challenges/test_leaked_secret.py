"""A key that was committed once, in repositories that are made anew for each test."""

from __future__ import annotations

import runpy
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lab.challenges.leaked_secret.fixed import check_secrets as fixed
from tests.recording import shell as shells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.challenges.conftest import Version

LEAKED = "academy_key_" + "0123456789abcdef" * 2
WRITE = f"echo 'SECRET_KEY = \"{LEAKED}\"' > settings.py"
READ = "printf 'import os\\nSECRET_KEY = os.environ[\"SECRET_KEY\"]\\n' > settings.py"
COMMIT = "git add --all && git commit --quiet -m"
BEGIN = ("git init --quiet", "echo academy > README.md", f"{COMMIT} 'Begin'")
REMOVED = (*BEGIN, WRITE, f"{COMMIT} 'Add the settings'", READ, f"{COMMIT} 'Read the key from the environment'")
SWITCH = "git switch --quiet"
REPOSITORIES = {
    "a key that the last commit removed": REMOVED,
    "a key in a file that was deleted": (
        "git init --quiet",
        WRITE,
        f"{COMMIT} 'Begin'",
        "git rm --quiet settings.py",
        "echo academy > README.md",
        f"{COMMIT} 'Delete the settings'",
    ),
    "a key on a branch that nobody merged": (
        *BEGIN,
        f"{SWITCH} -c attempt",
        WRITE,
        f"{COMMIT} 'Try'",
        f"{SWITCH} main",
    ),
    "no key": (*BEGIN, READ, f"{COMMIT} 'Read the key from the environment'"),
}
IN_A_MERGE = (
    *BEGIN,
    f"{SWITCH} -c other && echo other > name && {COMMIT} 'Name it'",
    f"{SWITCH} main && echo main > name && {COMMIT} 'Name it, too'",
    "git merge --quiet other || true",
    f"{WRITE} && echo both > name && {COMMIT} 'Merge'",
    f"git rm --quiet settings.py && {COMMIT} 'Remove the settings'",
)


def repository(folder: Path, *lines: str) -> Path:
    """Return a repository that these commands have made."""
    folder.mkdir()
    assert all(status == 0 for _, status in shells.run(list(lines), folder))
    return folder


@pytest.mark.broken("leaked_secret.txt")
@pytest.mark.wrong("lab/challenges/leaked_secret/broken/check_secrets.py:wrong_check")
@pytest.mark.wrong("lab/challenges/leaked_secret/broken/settings.py:wrong_settings")
def test_the_check_reads_the_history_and_the_settings_hold_no_key(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = []
    for number, (name, lines) in enumerate(REPOSITORIES.items()):
        found = version.module("check_secrets").findings(repository(tmp_path / str(number), *lines))
        if bool(found) is (name == "no key"):
            wrong.append(f"{name}: the check finds {'one' if found else 'none'}")
        if LEAKED in "\n".join(found):
            wrong.append(f"{name}: the check prints it")
    settings = str(version.folder / "settings.py")
    monkeypatch.setenv("SECRET_KEY", new := "a new key")
    made = runpy.run_path(settings)
    if made["SECRET_KEY"] != new or LEAKED in made.get("SECRET_KEY_FALLBACKS", ()):
        wrong.append("the settings still accept the key that was leaked")
    monkeypatch.delenv("SECRET_KEY")
    with suppress(Exception, SystemExit):
        runpy.run_path(settings)
        wrong.append("without a variable the settings start with a key that the code holds")
    if wrong:
        raise AssertionError("\n".join(["the pipeline is green", *wrong]))


def test_where_git_keeps_it(shell: Callable[[str], None], tmp_path: Path) -> None:
    assert all(status == 0 for _, status in shells.run(list(REMOVED), tmp_path))
    shell("leaked_secret_found.console")


def test_a_rewritten_branch_forgets_nothing(shell: Callable[[str], None], tmp_path: Path) -> None:
    repository(tmp_path / "academy", *REMOVED)
    shell("leaked_secret_rewritten.console")


def test_a_shallow_clone_hides_it(tmp_path: Path) -> None:
    there = repository(tmp_path / "academy", *REMOVED)
    clone = repository(tmp_path / "clones", f"git clone --quiet --depth 1 file://{there} shallow") / "shallow"
    assert len(fixed.findings(there)) == 2
    assert fixed.git(clone, "log", "--all", f"-G{fixed.KEY}") == ""
    with pytest.raises(ValueError, match="shallow"):
        fixed.findings(clone)


def test_a_key_that_came_with_a_merge_is_found(tmp_path: Path) -> None:
    found = fixed.findings(repository(tmp_path / "academy", *IN_A_MERGE))
    assert [line.split(" ", 1)[1] for line in found] == ["Remove the settings", "Merge"]


def test_a_key_in_a_binary_file_is_found(tmp_path: Path) -> None:
    there = repository(tmp_path / "academy", *BEGIN, f"printf '\\0{LEAKED}' > dump && {COMMIT} 'Keep a dump'")
    assert [line.split(" ", 1)[1] for line in fixed.findings(there)] == ["Keep a dump"]
