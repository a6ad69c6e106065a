"""A setting read the way that many tutorials show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


# --8<-- [start:wrong_debug]
def wrong_debug(environ: Mapping[str, str]) -> bool:
    """Return what a settings file with this line would use as DEBUG."""
    return bool(environ.get("DEBUG", False))


# --8<-- [end:wrong_debug]
