"""Small histories: what Git can say about them depends on how they were made."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.recording import shell as shells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Shell = Callable[..., None]

pytestmark = pytest.mark.slow

CHECK = ROOT / "lab/practices/version_control/check.sh"
PASSED = "PASS_MARK = {mark}\n\n\ndef passed(grade):\n    return grade {sign} PASS_MARK\n"
SUBJECTS = (
    "Say whether a grade passes",
    "Say what the project is",
    "Name the range of grades",
    "Name the courses",
    "Say who grades",
    "Say when grades are final",
    "Say how to appeal",
    "Read the mark from the settings",
    "Say who reads the settings",
    "Say who signs certificates",
    "Tidy the comparison",
    "Name the terms",
    "Say when terms end",
    "Say where to ask",
    "Name the rooms",
    "Say who has the keys",
)
DOES_NOT_LOAD, BREAKS = SUBJECTS[7], SUBJECTS[10]


def git(folder: Path, *words: str) -> str:
    """Run Git as the recorded sessions run it; return what it prints."""
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env=shells.environment(folder.parent),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def history(folder: Path, *, loads: bool = True) -> Path:
    """Make a history of sixteen commits, one of which breaks the rule; with ``loads=False``, one cannot be imported."""
    academy = folder / "academy"
    academy.mkdir()
    git(academy, "init", "--quiet", "--initial-branch=main")
    sign, readme = ">=", ""
    for subject in SUBJECTS:
        sign = ">" if subject == BREAKS else sign
        mark = "MARK" if subject == DOES_NOT_LOAD and not loads else "80"
        readme += f"{subject}.\n"
        (academy / "grades.py").write_text(PASSED.format(mark=mark, sign=sign))
        (academy / "README.md").write_text(readme)
        git(academy, "add", ".")
        git(academy, "commit", "--quiet", "--message", subject)
    shutil.copy(CHECK, folder / "check.sh")
    return academy


def first_bad(academy: Path) -> str:
    """Return the subject of the commit that the bisect under way has found."""
    return git(academy, "bisect", "log").splitlines()[-1].split("] ")[1]


def test_messages(shell: Shell) -> None:
    shell("version_control_commits.console")


def test_bisect_finds_the_commit(shell: Shell, tmp_path: Path) -> None:
    academy = history(tmp_path)
    shell("version_control_bisect.console")
    assert first_bad(academy) == BREAKS
    log = git(academy, "bisect", "log").splitlines()
    assert sum(line.startswith(("git bisect good", "git bisect bad")) for line in log) == 4


def test_bisect_blames_a_commit_that_does_not_load(shell: Shell, tmp_path: Path) -> None:
    academy = history(tmp_path, loads=False)
    shell("version_control_blame.console")
    assert first_bad(academy) == DOES_NOT_LOAD


def test_bisect_skips_what_it_cannot_judge(shell: Shell, tmp_path: Path) -> None:
    academy = history(tmp_path, loads=False)
    shell("version_control_skip.console")
    assert first_bad(academy) == BREAKS


@pytest.mark.parametrize(
    ("status", "found"), [(0, SUBJECTS[-1]), (1, SUBJECTS[1]), (125, ""), (126, ""), (127, ""), (128, "")]
)
def test_what_the_status_of_the_command_decides(status: int, found: str, tmp_path: Path) -> None:
    academy = history(tmp_path)
    git(academy, "bisect", "start", "HEAD", "HEAD~15")
    words = ["git", "bisect", "run", "sh", "-c", f"exit {status}"]
    environ = shells.environment(tmp_path)
    done = subprocess.run(words, cwd=academy, env=environ, capture_output=True, text=True, check=False)
    log = git(academy, "bisect", "log")
    assert (done.returncode == 0) == bool(found), done.stderr
    assert ("# first bad commit: " in log) == bool(found)
    if found:
        assert first_bad(academy) == found
    else:
        tried = log.count("\ngit bisect skip")
        assert tried == (14 if status == 125 else 0), "125 goes on, the others stop at once"


def test_every_commit_is_checked_before_the_push(shell: Shell, tmp_path: Path) -> None:
    history(tmp_path, loads=False)
    shell("version_control_exec.console")


def branches(folder: Path) -> Path:
    """Make two lines of work: two commits on a branch, and one on main in the meantime."""
    academy = folder / "academy"
    academy.mkdir()
    git(academy, "init", "--quiet", "--initial-branch=main")

    def commit(name: str, subject: str) -> None:
        (academy / name).write_text(f"{subject}.\n")
        git(academy, "add", ".")
        git(academy, "commit", "--quiet", "--message", subject)

    commit("README.md", "Say what the project is")
    git(academy, "switch", "--quiet", "--create", "grades")
    commit("grades.py", "Say whether a grade passes")
    commit("test_grades.py", "Test the border of the mark")
    git(academy, "switch", "--quiet", "main")
    commit("courses.py", "Name the courses")
    return academy


def test_a_merge_keeps_the_commits(shell: Shell, tmp_path: Path) -> None:
    academy = branches(tmp_path)
    before = git(academy, "rev-parse", "grades")
    shell("version_control_merge.console")
    assert before in git(academy, "log", "--format=%H", "main")


def test_a_rebase_writes_new_ones(shell: Shell, tmp_path: Path) -> None:
    academy = branches(tmp_path)
    before = git(academy, "rev-parse", "grades")
    shell("version_control_rebase.console")
    assert before not in git(academy, "log", "--format=%H", "main")


def shared(folder: Path) -> tuple[Path, Path]:
    """Give Ama and Kofi the same branch, from a server."""
    academy = branches(folder)
    git(folder, "clone", "--quiet", "--bare", str(academy), "server.git")
    shutil.rmtree(academy)
    for name in ("ama", "kofi"):
        git(folder, "clone", "--quiet", "--branch=grades", "server.git", name)
    return folder / "ama", folder / "kofi"


def test_commits_that_others_have_come_back(shell: Shell, tmp_path: Path) -> None:
    _, kofi = shared(tmp_path)
    shell("version_control_shared.console")
    assert git(kofi, "log", "--format=%s").splitlines().count("Say whether a grade passes") == 2


def test_a_plain_pull_stops_and_one_that_rebases_leaves_them_out(tmp_path: Path) -> None:
    ama, kofi = shared(tmp_path)
    git(ama, "rebase", "--quiet", "origin/main")
    git(ama, "push", "--quiet", "--force-with-lease")
    git(kofi, "commit", "--quiet", "--allow-empty", "--message", "Say where to ask")
    with pytest.raises(subprocess.CalledProcessError):
        git(kofi, "pull", "--quiet")
    git(kofi, "pull", "--quiet", "--rebase")
    assert git(kofi, "log", "--format=%s").splitlines().count("Say whether a grade passes") == 1


@pytest.mark.parametrize(
    ("option", "found"), [([], "Say whether a grade passes"), (["--first-parent"], "Merge the grades")]
)
def test_first_parent_stops_at_the_branch(option: list[str], found: str, tmp_path: Path) -> None:
    academy = branches(tmp_path)
    git(academy, "merge", "--quiet", "-m", "Merge the grades", "grades")
    git(academy, "bisect", "start", *option, "HEAD", "HEAD~2")
    git(academy, "bisect", "run", "sh", "-c", "test ! -e grades.py")
    assert first_bad(academy) == found
