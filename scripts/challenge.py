"""Work through a challenge of the handbook in a scratch folder.

    python -m scripts.challenge                        the challenges
    python -m scripts.challenge lost-update            run the test on challenges/lost-update/, made at the first call
    python -m scripts.challenge lost-update --hint 2   one hint

The test is the one that holds the page to its word: tests/lab/challenges/test_lost_update.py.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts.pages import ROOT, front_matter
from scripts.proof import MARK

if TYPE_CHECKING:
    from pathlib import Path

LAB = ROOT / "lab" / "challenges"
SCRATCH = ROOT / "challenges"
HINT = re.compile(r"\[start:(\d+)\] -->\n(.*?)\n<!-- -+8<-+ \[end:\1\]", re.DOTALL)


def names() -> dict[str, str]:
    """Return the challenges with the titles of their pages."""
    found = {}
    for folder in sorted(LAB.glob("*/broken")):
        name = folder.parent.name.replace("_", "-")
        path = f"docs/challenges/{name}.md"
        fields, _ = front_matter(path, (ROOT / path).read_text(encoding="utf-8"))
        found[name] = str(fields["title"])
    return found


def hints(name: str) -> list[str]:
    """Return the hints of a challenge, the vaguest first."""
    text = (LAB / name.replace("-", "_") / "hints.md").read_text(encoding="utf-8")
    return [match[2] for match in HINT.finditer(text)]


def begin(name: str, folder: Path) -> None:
    """Put the broken version into a folder, without the marks that pages quote it by."""
    shutil.copytree(LAB / name.replace("-", "_") / "broken", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in folder.rglob("*"):
        if file.is_file():
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            file.write_text("".join(line for line in lines if not MARK.search(line)), encoding="utf-8")


def attempt(name: str, folder: Path) -> int:
    """Run the challenge's test on a folder; say what comes next, and return the status of the test."""
    test = f"tests/lab/challenges/test_{name.replace('-', '_')}.py"
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", f"--solution={folder}", test]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status == 0:
        fixed = (LAB / name.replace("-", "_") / "fixed").relative_to(ROOT)
        print(f"Solved. Compare with {fixed}/ and docs/challenges/{name}.md.")
    else:
        print(f"The code is in {folder}, the test in {test}.")
        print(f"There are {len(hints(name))} hints: make challenge NAME={name} HINT=1")
    return status


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.challenge", description="Work through a challenge.")
    parser.add_argument("name", nargs="?", help="the challenge; without it, all are listed")
    parser.add_argument("--hint", type=int, metavar="N", help="print this hint, and run nothing")
    arguments = parser.parse_args()
    known = names()
    if arguments.name not in known:
        if arguments.name:
            print(f"There is no challenge {arguments.name}.", file=sys.stderr)
        for name, title in known.items():
            print(f"make challenge NAME={name:<24} {title}")
        return 1 if arguments.name else 0
    if arguments.hint is not None:
        all_hints = hints(arguments.name)
        if not 1 <= arguments.hint <= len(all_hints):
            print(f"{arguments.name} has hints 1 to {len(all_hints)}.", file=sys.stderr)
            return 1
        print(all_hints[arguments.hint - 1])
        return 0
    folder = SCRATCH / arguments.name
    if not folder.exists():
        begin(arguments.name, folder)
    return attempt(arguments.name, folder)


if __name__ == "__main__":
    sys.exit(main())
