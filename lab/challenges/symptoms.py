"""A small import that fails as imports do: its traceback is the example of the symptom index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.academy.models import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable


# --8<-- [start:wrong_import_tags]
def wrong_import_tags(lines: Iterable[str]) -> None:
    """Add a tag for each line."""
    for line in lines:
        Tag.objects.create(name=line.strip())


# --8<-- [end:wrong_import_tags]
