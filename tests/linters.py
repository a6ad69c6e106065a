"""The linters of files that are not Python, as tests of several chapters call them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def hadolint(*files: Path) -> str:
    """Return what hadolint says of Dockerfiles: nothing, if it finds nothing."""
    return subprocess.run([BIN / "hadolint", "--no-color", *files], capture_output=True, text=True, check=False).stdout


def assert_schema(schema: str, *files: Path) -> None:
    """Hold files to a schema that check-jsonschema brings along, such as ``vendor.compose-spec``."""
    assert files
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
