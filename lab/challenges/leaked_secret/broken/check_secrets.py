"""Look for keys of the academy in a repository, and stop the pipeline at one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KEY = "academy_key_[0-9a-f]{32}"  # how the academy's keys begin, and how long they are


# --8<-- [start:wrong_check]
def findings(repository: Path) -> list[str]:
    """Return a line for each place with a key, without the key itself."""
    command = ["git", "grep", "--files-with-matches", "--extended-regexp", KEY]
    done = subprocess.run(
        command, cwd=repository, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.stdout.splitlines()


# --8<-- [end:wrong_check]

if __name__ == "__main__":
    found = findings(Path())
    print("\n".join(found))
    sys.exit(bool(found))
