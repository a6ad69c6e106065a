"""A check of our own, and how it passes without checking anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


# --8<-- [start:wrong_untitled]
def wrong_untitled(folder: Path) -> list[str]:
    """Return the pages that have no title."""
    return [
        page.name
        for page in sorted(folder.glob("*.md"))
        if not page.read_text(encoding="utf-8").startswith("# ")
    ]


# --8<-- [end:wrong_untitled]


# --8<-- [start:untitled]
def untitled(folder: Path) -> list[str]:
    """Return the pages that have no title.

    Raises:
        FileNotFoundError: There is no page; a check that sees nothing says so.
    """
    pages = sorted(folder.glob("*.md"))
    if not pages:
        raise FileNotFoundError(f"no pages in {folder.name}/")
    return [page.name for page in pages if not titled(page)]


def titled(page: Path) -> bool:
    """Return whether a page starts with a title."""
    return page.read_text(encoding="utf-8").startswith("# ")


# --8<-- [end:untitled]
