"""Copies of the project in which tests make mistakes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT, blank_code

if TYPE_CHECKING:
    from pathlib import Path

PARTS = (".ci", ".github", "docs", "includes", "lab", "overrides", "scripts", "tests")
WHOLE = {"index.md", "concepts/caching/index.md"}
KEPT = {"about/glossary.md"}  # scripts/glossary.py writes it
IGNORED = shutil.ignore_patterns("__pycache__", "db.sqlite3", "staticfiles")


class Copy:
    """A copy of the project's files, without history, on which the authors' commands run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in PARTS:
            shutil.copytree(ROOT / part, root / part, ignore=IGNORED)
        for file in ROOT.iterdir():
            if file.is_file():
                shutil.copy2(file, root)
        for folder in (".venv", "node_modules"):
            (root / folder).symlink_to(ROOT / folder)

    def shorten(self) -> Copy:
        """Leave two pages, and of their neighbors and of the maps the headings: the rest takes most of a build."""
        docs = self.root / "docs"
        links = {path: re.findall(r"\]\(([^)#]+\.md)", (docs / path).read_text(encoding="utf-8")) for path in WHOLE}
        linked = {normpath(join(dirname(path), link)) for path, found in links.items() for link in found}
        for page in docs.rglob("*.md"):
            path = page.relative_to(docs).as_posix()
            if path not in linked | KEPT and page.name != "index.md":
                page.unlink()
                self.edit("mkdocs.yml", self.line("mkdocs.yml", f" {path}\n"), "")
            elif path not in WHOLE:
                _, front, body = page.read_text(encoding="utf-8").split("---\n", 2)
                lines = zip(body.splitlines(), blank_code(body).splitlines(), strict=True)
                headings = [line for line, blank in lines if re.match("#+ ", blank)]
                page.write_text("\n\n".join([f"---\n{front}---", *headings, ""]), encoding="utf-8")
        return self

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text that a file holds; with an empty ``old``, append."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} holds no {old!r}"
        file.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")

    def line(self, path: str, wanted: str) -> str:
        """Return the first line of a file that holds a text."""
        lines = (self.root / path).read_text(encoding="utf-8").splitlines(keepends=True)
        return next(line for line in lines if wanted in line)

    def line_of(self, path: str, wanted: str) -> int:
        """Return the number of the first line of a file that holds a text."""
        lines = (self.root / path).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if wanted in line)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy."""
        environment = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the build command in the copy."""
        return self.run(sys.executable, "-m", "scripts.build", *options)


@pytest.fixture
def whole(tmp_path: Path) -> Copy:
    """A copy of the project in an empty folder."""
    root = tmp_path / "project"
    root.mkdir()
    return Copy(root)


@pytest.fixture
def copy(whole: Copy) -> Copy:
    """A copy of the project, with short pages."""
    return whole.shorten()
