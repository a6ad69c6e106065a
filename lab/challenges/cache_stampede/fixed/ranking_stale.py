"""The ranking of the learners; while one request renews it, the others get the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.caching.stampede import stale

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:ranking]
def ranking(compute: Callable[[], list[str]]) -> list[str]:
    """Return the ranking, a minute old or, while it is renewed, older."""
    found: list[str] = stale("ranking", compute, timeout=60, grace=600)
    return found


# --8<-- [end:ranking]
