"""A shell session: a recorded file whose lines after ``$`` are run again, with what they print today."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INHERITED = ("PIP_", "SSL_", "HTTP", "LD_", "DOCKER_")  # how this machine reaches packages and engines
END = "--- end of output, status "


def commands(transcript: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a session, lines continued by a backslash included, with its output."""
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        last = next((n for n, line in enumerate(lines) if not line.rstrip("\n").endswith("\\")), len(lines) - 1)
        yield "".join(lines[: last + 1]), "".join(lines[last + 1 :]).strip("\n")


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a session: this Python's tools, one person, one moment, no settings of the author's."""
    who = {"NAME": "Learner", "EMAIL": "learner@example.com", "DATE": "2026-11-22T09:00Z"}
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()},
        **{name: value for name, value in os.environ.items() if name.startswith(INHERITED)},
    }


def run(lines: list[str], folder: Path, extra: Mapping[str, str] | None = None) -> list[tuple[str, int]]:
    """Run commands one after the other in one bash; return what each printed, and its exit status.

    Args:
        lines: The commands.
        folder: Where they run.
        extra: Further environment variables.

    Raises:
        ValueError: The shell stopped before the last command. The message holds what it printed.
    """
    script = "git config --global init.defaultBranch main\n"
    script += "".join(f'{line}\necho "\n{END}$?"\n' for line in lines)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**environment(folder), **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    outputs = re.split(rf"\n?{re.escape(END)}(\d+)\n", done.stdout)
    if len(outputs) != 2 * len(lines) + 1:
        raise ValueError(f"the shell stopped before the last command; it printed\n{done.stdout}")
    return [(text.strip("\n"), int(status)) for text, status in zip(outputs[::2], outputs[1::2], strict=False)]


def rerun(transcript: str, folder: Path, extra: Mapping[str, str] | None = None) -> str:
    """Return a session as it is when its commands are run now.

    To write a new session, write its commands after ``$`` and record it.

    Args:
        transcript: Commands, and what they printed before.
        folder: Where they run. Its path is recorded as ``~``.
        extra: Further environment variables.

    Raises:
        ValueError: The text does not start with a command, the shell stopped early, or a command
            failed without a word, which a page would show as a success.
    """
    lines = [command for command, _ in commands(transcript)]
    if not lines or not transcript.startswith("$ "):
        raise ValueError("the first line of a recorded session is a command after $")
    parts = []
    for line, (output, status) in zip(lines, run(lines, folder, extra), strict=True):
        if status and not output:
            raise ValueError(f"$ {line.rstrip()} ends with status {status} and prints nothing")
        parts.append(f"$ {line.rstrip()}\n" + (output.replace(str(folder), "~") + "\n" if output else ""))
    return "".join(parts)
