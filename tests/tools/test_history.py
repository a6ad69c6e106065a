"""Dates come from the history where there is one; everything else works without."""

from __future__ import annotations

import hashlib
import os
import re
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.conftest import Copy

pytestmark = pytest.mark.slow

NOTICE = "Note: there is no full git history here, so the pages carry no dates.\n"
GIT = ("git", "-c", "user.name=Learner", "-c", "user.email=learner@example.com", "-c", "init.defaultBranch=main")


def commit(copy: Copy) -> Copy:
    """Give a copy a history of two commits and no remote."""
    copy.run(*GIT, "init", "--quiet")
    copy.run(*GIT, "add", "--all")
    copy.run(*GIT, "commit", "--quiet", "--message", "First", "--date", "2026-01-02T03:04:05Z")
    copy.run(*GIT, "commit", "--quiet", "--allow-empty", "--message", "Second")
    return copy


@pytest.fixture
def repository(copy: Copy) -> Copy:
    """A copy with a history of two commits and no remote."""
    return commit(copy)


def fingerprint(folder: Path) -> dict[str, str]:
    """Return a digest of every file below a folder."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def dates(root: Path) -> list[str]:
    """Return the dates that the start page shows."""
    return re.findall(r"\d{4}-\d\d-\d\d", (root / "site" / "index.html").read_text(encoding="utf-8"))


def test_pages_carry_dates_in_a_repository_without_remote(repository: Copy) -> None:
    run = repository.build()
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert dates(repository.root)


def test_a_zip_without_history_builds_with_one_notice(copy: Copy) -> None:
    run = copy.build()
    assert (run.returncode, run.stdout, run.stderr) == (0, NOTICE, "")
    assert not dates(copy.root)


def test_a_zip_inside_another_repository_does_not_take_its_dates(copy: Copy) -> None:
    copy.run(*GIT, "init", "--quiet", str(copy.root.parent))
    copy.run(*GIT, "-C", str(copy.root.parent), "commit", "--quiet", "--allow-empty", "--message", "Other")
    run = copy.build()
    assert (run.returncode, run.stdout, run.stderr) == (0, NOTICE, "")


def test_a_shallow_clone_builds_with_one_notice(repository: Copy, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    repository.run(*GIT, "clone", "--quiet", "--depth", "1", f"file://{repository.root}", str(clone))
    repository.root = clone
    run = repository.build()
    assert (run.returncode, run.stdout, run.stderr) == (0, NOTICE, "")
    assert not dates(clone)


def test_two_builds_of_one_commit_are_the_same(whole: Copy) -> None:
    repository = commit(whole)
    assert repository.build().returncode == 0
    first = fingerprint(repository.root / "site")
    time.sleep(1.1)
    os.environ["TZ"] = "Pacific/Auckland"
    try:
        assert repository.build().returncode == 0
    finally:
        del os.environ["TZ"]
    assert fingerprint(repository.root / "site") == first


def test_a_fork_publishes_under_its_own_name(repository: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_URL", "https://learner.example/handbook/")
    monkeypatch.setenv("REPO_URL", "https://github.com/learner/handbook/")
    monkeypatch.setenv("EDIT_URI", "edit/trunk/docs/")
    run = repository.build()
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    page = (repository.root / "site/concepts/caching/index.html").read_text(encoding="utf-8")
    for part in (
        '<link rel="canonical" href="https://learner.example/handbook/concepts/caching/">',
        'href="https://github.com/learner/handbook/edit/trunk/docs/concepts/caching/index.md"',
        'href="https://github.com/learner/handbook/raw/trunk/docs/concepts/caching/index.md"',
        "https://github.com/learner/handbook/issues/new?template=page-error.yml",
    ):
        assert part in page
    assert 'data-md-component="source"' not in page
