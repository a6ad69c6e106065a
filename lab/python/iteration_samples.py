"""Mistakes with iterators, each wrong on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


# --8<-- [start:wrong_report]
def wrong_report(names: Iterable[str]) -> str:
    """Say how many passed, and who."""
    return f"{sum(1 for _ in names)} passed: {', '.join(names)}"


# --8<-- [end:wrong_report]


# --8<-- [start:wrong_read]
def wrong_read(path: Path) -> Iterator[str]:
    """Return the lines of a file."""
    with path.open(encoding="utf-8") as file:
        return (line.rstrip("\n") for line in file)


# --8<-- [end:wrong_read]
