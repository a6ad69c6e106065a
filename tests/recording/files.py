"""Recorded files: ``lab/<chapter>/recorded/<name>``, made by the tests and compared with what is committed."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from scripts.pages import ROOT
from scripts.proof import pages_that_quote

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_regressions.file_regression import FileRegressionFixture


class Recorder:
    """Compares what a test made with the recording of that name; ``make record`` writes it anew.

    Args:
        files: The fixture ``file_regression`` of pytest-regressions.
        chapter: The package below ``lab/`` that the recordings belong to.
        writes: Whether recordings are written rather than compared.
    """

    def __init__(self, files: FileRegressionFixture, chapter: str, *, writes: bool) -> None:
        self.files = files
        self.folder = ROOT / "lab" / chapter / "recorded"
        self.writes = writes

    def path(self, name: str) -> Path:
        """Return where the recording of that name is."""
        return self.folder / name

    def transcript(self, name: str, prompt: str) -> str:
        """Return a recorded session, whose lines after the prompt are written by hand.

        Raises:
            AssertionError: Nobody has written it yet.
        """
        path = self.path(name)
        if not path.exists():
            where, chapter = path.relative_to(ROOT), self.folder.parent.relative_to(ROOT)
            raise AssertionError(
                f"There is no {where}. Write its lines, each after {prompt}, into it; then make record ONLY={chapter}"
            )
        return path.read_text(encoding="utf-8")

    def __call__(self, name: str, text: str) -> None:
        """Compare ``text`` with the recording ``name``, or write it.

        Raises:
            AssertionError: They differ, or there is no recording yet. The message names the pages.
        """
        text = text.rstrip("\n") + "\n"
        if not self.writes and not self.path(name).exists():
            raise AssertionError(self.message(name, "There is no such recording yet."))
        self.files.check(text, fullpath=self.path(name), check_fn=self.compare, newline="\n")

    def compare(self, got: Path, expected: Path) -> None:
        """Raise AssertionError, with the difference and the pages that show it, if two files differ."""
        new, old = (path.read_text(encoding="utf-8").splitlines() for path in (got, expected))
        if new != old:
            lines = difflib.unified_diff(old, new, "recorded", "this run", lineterm="", n=2)
            raise AssertionError(self.message(str(expected.relative_to(self.folder)), "\n".join(lines)))

    def message(self, name: str, what: str) -> str:
        """Return what an author needs to know when a recording is not as expected."""
        path = self.path(name).relative_to(ROOT).as_posix()
        return (
            f"{path}\n{what}\nPages that show it: {', '.join(pages_that_quote(path)) or 'none'}\n"
            f"If this run is right, record it: make record ONLY={path.rsplit('/recorded/')[0]}"
        )
