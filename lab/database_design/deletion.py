"""Delete many rows a few at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:delete_in_batches]
def delete_in_batches(rows: QuerySet[Any], size: int = 1000) -> int:
    """Delete rows, so many in a transaction; return how many have gone."""
    deleted = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:size]):
        deleted += rows.filter(pk__in=keys).delete()[0]
    return deleted


# --8<-- [end:delete_in_batches]
