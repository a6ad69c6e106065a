"""Run pytest in a scratch folder, as a reader would, and return what it prints without the time it took."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts.pages import ROOT
from scripts.proof import sections
from tests.lab.production import kept

if TYPE_CHECKING:
    from pathlib import Path


def quoted(path: str, *names: str) -> str:
    """Return sections of a file as the pages quote them, one after the other."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    found = sections(text)
    return "\n\n\n".join("\n".join(lines[n - 1] for n in found[name]).strip("\n") for name in names) + "\n"


def run(folder: Path, command: str, **variables: str) -> str:
    """Run ``pytest …`` or another command of this Python's in a folder; return it as a shell session.

    No plugin is loaded unless the command names it with ``-p``. The time that the tests took is left out.

    Args:
        folder: Where it runs; its path is left out too.
        command: The words, separated by spaces, the first of them a module that Python can run.
        variables: What else stands in the environment.

    Returns:
        The command after ``$``, and what it printed.
    """
    return f"$ {command}\n{status(folder, command, **variables)[1]}"


def status(folder: Path, command: str, **variables: str) -> tuple[int, str]:
    """Run a command as ``run`` does; return its exit status and what it printed."""
    module, *words = command.split()
    environ = {
        **kept("PYTHONPATH"),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    return done.returncode, tidy(done.stdout.replace(str(folder), "~"))


def tidy(text: str) -> str:
    """Return what pytest printed without times, and without the rules that fill a line."""
    text = re.sub(r"in \d+\.\d+s(?: \([\d:]+\))?", "in …s", text)
    text = re.sub(r"^([.FsxXE]+) +(\[ *\d+%\])$", r"\1 \2", text, flags=re.MULTILINE)
    text = re.sub(
        r"^(=+|_+) (.*?) (=+|_+)$", lambda match: f"{match[1][:3]} {match[2]} {match[3][:3]}", text, flags=re.M
    )
    return "\n".join(line.rstrip() for line in text.splitlines())
