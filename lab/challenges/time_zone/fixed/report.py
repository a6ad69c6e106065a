"""How many accounts were opened in each month."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count
from django.db.models.functions import TruncMonth

from lab.academy.models import User

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


# --8<-- [start:report]
def accounts_by_month(zone: ZoneInfo) -> dict[str, int]:
    """Count the accounts of each month, by the calendar of an office."""
    months = (
        User.objects.values(month=TruncMonth("date_joined", tzinfo=zone))
        .annotate(accounts=Count("pk"))
        .order_by("month")
    )
    return {f"{row['month']:%Y-%m}": row["accounts"] for row in months}


# --8<-- [end:report]
