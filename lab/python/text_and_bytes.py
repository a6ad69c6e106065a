"""Text, the bytes that stand for it, and the files that hold them."""

from __future__ import annotations

import csv
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable


# --8<-- [start:wrong_same_name]
def wrong_same_name(one: str, other: str) -> bool:
    """Return whether two people typed the same name."""
    return one.lower() == other.lower()


# --8<-- [end:wrong_same_name]


# --8<-- [start:same_name]
def folded(name: str) -> str:
    """Return a name as it is compared, never as it is shown."""
    return normalize("NFC", normalize("NFC", name).casefold())


def same_name(one: str, other: str) -> bool:
    """Return whether two people typed the same name."""
    return folded(one) == folded(other)


# --8<-- [end:same_name]


# --8<-- [start:wrong_names]
def wrong_names(path: Path) -> list[str]:
    """Return the names in a file."""
    return path.read_text().split()


# --8<-- [end:wrong_names]


# --8<-- [start:names]
def names(path: Path) -> list[str]:
    """Return the names in a file."""
    return path.read_text(encoding="utf-8").split()


# --8<-- [end:names]


# --8<-- [start:wrong_certificate]
def wrong_certificate(folder: Path, name: str) -> str:
    """Return the certificate that somebody asks for by name."""
    return (folder / name).read_text(encoding="utf-8")


# --8<-- [end:wrong_certificate]


# --8<-- [start:certificate]
def certificate(folder: Path, name: str) -> str:
    """Return the certificate that somebody asks for by name."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise FileNotFoundError("there is no such certificate")
    return path.read_text(encoding="utf-8")


# --8<-- [end:certificate]


# --8<-- [start:wrong_save]
def wrong_save(path: Path, lines: Iterable[str]) -> None:
    """Write a file anew."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)


# --8<-- [end:wrong_save]


# --8<-- [start:save]
def save(path: Path, lines: Iterable[str]) -> None:
    """Write a file anew: readers see the old one or the new one, whole."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder, path.name)
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())  # on the disk, and not only on its way
        draft.replace(path)


# --8<-- [end:save]


# --8<-- [start:rows]
def rows(path: Path) -> list[dict[str, str]]:
    """Return the lines of a table that a spreadsheet has exported."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# --8<-- [end:rows]
