"""Moments and amounts: what the deadlines and the fees of a course are counted with."""

from __future__ import annotations

import calendar
import time
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:wrong_issued]
def wrong_issued() -> float:
    """Return the seconds since 1970, or so it seems."""
    return datetime.utcnow().timestamp()


# --8<-- [end:wrong_issued]


# --8<-- [start:issued]
def issued() -> float:
    """Return the seconds since 1970."""
    return datetime.now(UTC).timestamp()


# --8<-- [end:issued]


# --8<-- [start:shown]
def shown(moment: datetime, zone: str) -> str:
    """Write a moment as a clock on the wall of that zone shows it."""
    return f"{moment.astimezone(ZoneInfo(zone)):%a %d %b %H:%M %Z}"


# --8<-- [end:shown]


# --8<-- [start:wrong_closes]
def wrong_closes(opened: datetime) -> datetime:
    """Return the moment when 24 hours have passed, or so it seems."""
    return opened + timedelta(hours=24)


# --8<-- [end:wrong_closes]


# --8<-- [start:closes]
def closes(opened: datetime) -> datetime:
    """Return the moment when 24 hours have passed."""
    later = opened.astimezone(UTC) + timedelta(hours=24)
    return later.astimezone(opened.tzinfo)


# --8<-- [end:closes]


# --8<-- [start:exists]
def exists(local: datetime) -> bool:
    """Say whether clocks in its zone ever show this time."""
    there_and_back = local.astimezone(UTC).astimezone(local.tzinfo)
    return there_and_back.replace(tzinfo=None) == local.replace(tzinfo=None)


# --8<-- [end:exists]


# --8<-- [start:due]
def due(first: date, months: int) -> date:
    """Return the day of the payment so many months after the first one."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(first.day, last_day))


# --8<-- [end:due]


# --8<-- [start:wrong_seconds]
def wrong_seconds(work: Callable[[], object]) -> float:
    """Return how long work takes, if nobody sets the clock."""
    start = time.time()
    work()
    return time.time() - start


# --8<-- [end:wrong_seconds]


# --8<-- [start:seconds]
def seconds(work: Callable[[], object]) -> float:
    """Return how long work takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


# --8<-- [end:seconds]


# --8<-- [start:wrong_shares]
def wrong_shares(amount: Decimal, people: int) -> list[Decimal]:
    """Split an amount into equal parts, each rounded."""
    share = (amount / people).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return [share] * people


# --8<-- [end:wrong_shares]


# --8<-- [start:shares]
# Digits after the point, by ISO 4217; no currency is taken for granted.
DIGITS = {"GHS": 2, "RWF": 0, "TND": 3, "USD": 2}


def shares(amount: Decimal, currency: str, people: int) -> list[Decimal]:
    """Split an amount; the first to pay carry what is left over."""
    unit = Decimal(1).scaleb(-DIGITS[currency])
    units = amount / unit
    if units != int(units):
        raise ValueError(f"{currency} has no coin for {amount}")
    each, rest = divmod(int(units), people)
    return [(each + (n < rest)) * unit for n in range(people)]


# --8<-- [end:shares]
