"""Look for keys of the academy in a repository, and stop the pipeline at one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KEY = "academy_key_[0-9a-f]{32}"  # how the academy's keys begin, and how long they are


# --8<-- [start:check]
def git(repository: Path, *words: str) -> str:
    """Return what a git command prints."""
    command = ["git", *words]
    done = subprocess.run(
        command, cwd=repository, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def findings(repository: Path) -> list[str]:
    """Return a line for each commit that adds or removes a key, without the key.

    Raises:
        ValueError: The clone holds a part of the history only.
    """
    if git(repository, "rev-parse", "--is-shallow-repository") == "true":
        raise ValueError("this clone is shallow: fetch the whole history")
    commits = git(
        repository, "log", "--all", "-m", "--text", f"-G{KEY}", "--format=%h %s"
    )
    return list(dict.fromkeys(commits.splitlines()))


# --8<-- [end:check]

if __name__ == "__main__":
    found = findings(Path())
    print("\n".join(found))
    sys.exit(bool(found))
