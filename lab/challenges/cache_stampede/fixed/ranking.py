"""The ranking of the learners, which the front page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.caching.stampede import locked

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:ranking]
def ranking(compute: Callable[[], list[str]]) -> list[str]:
    """Return the ranking; of all who miss it, one computes and the others wait."""
    found: list[str] = locked("ranking", compute, timeout=60)
    return found


# --8<-- [end:ranking]
