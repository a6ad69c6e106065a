"""The ranking of the learners, which the front page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.cache import cache

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:wrong_ranking]
def ranking(compute: Callable[[], list[str]]) -> list[str]:
    """Return the ranking, computed once a minute."""
    found: list[str] | None = cache.get("ranking")
    if found is None:
        found = compute()
        cache.set("ranking", found, timeout=60)
    return found


# --8<-- [end:wrong_ranking]
