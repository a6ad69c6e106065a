"""Moments and amounts: zones, gaps, the month's end, cents."""

from __future__ import annotations

import decimal
import json
import sys
import time
import warnings
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import DecimalField, Value
from django.db.models.functions import Cast
from django.forms.utils import from_current_timezone
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.academy.models import Course
from lab.python import time_and_money
from lab.python.time_and_money import (
    DIGITS,
    closes,
    due,
    exists,
    issued,
    seconds,
    shares,
    wrong_closes,
    wrong_issued,
    wrong_seconds,
    wrong_shares,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import time_machine

    from tests.recording.files import Recorder

    Session = Callable[..., None]

MORNING = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CAIRO = ZoneInfo("Africa/Cairo")
SQLITE = ["`decimal`", "`123456789012345680`", "no"]  # what kept() finds there


@pytest.fixture
def names() -> dict[str, object]:
    """What the sessions know."""
    return {**vars(time_and_money), "json": json, "DjangoJSONEncoder": DjangoJSONEncoder}


# Moments


def test_a_naive_moment_and_an_aware_one_do_not_compare(session: Session) -> None:
    session("time_and_money_naive.pycon")


@pytest.mark.wrong("lab/python/time_and_money.py:wrong_issued")
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_utcnow_is_read_as_local_time(
    time_machine: time_machine.TimeMachineFixture, session: Session, names: dict[str, object]
) -> None:
    # The fixture gives the process the zone of the moment, as the variable TZ does on a server.
    time_machine.move_to(MORNING.astimezone(ZoneInfo("Africa/Johannesburg")), tick=False)
    assert issued() == MORNING.timestamp()
    assert wrong_issued() - issued() == -2 * 3600
    session("time_and_money_utcnow.pycon", **names)
    time_machine.move_to(MORNING.replace(tzinfo=ZoneInfo("Africa/Accra")), tick=False)
    assert wrong_issued() == issued(), "nothing is seen where local time is UTC"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="utcnow() warns since Python 3.12")
def test_utcnow_warns(record: Recorder) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wrong_issued()
        issued()
    [warning] = caught
    words = str(warning.message).replace(". ", ".\n").replace(" in UTC: ", " in UTC:\n")
    record("time_and_money_utcnow.txt", f"{warning.category.__name__}: {words}")


def test_one_moment_on_three_walls(session: Session, names: dict[str, object]) -> None:
    session("time_and_money_shown.pycon", **names)


def test_a_gap_and_a_fold(session: Session, names: dict[str, object]) -> None:
    session("time_and_money_gap.pycon", **names)
    assert not exists(datetime(2026, 4, 24, 0, 0, tzinfo=CAIRO)), "that day has no midnight"
    assert exists(datetime(2026, 10, 29, 23, 30, tzinfo=CAIRO))


def test_django_refuses_what_is_in_a_gap_or_a_fold() -> None:
    with timezone.override(CAIRO):
        assert from_current_timezone(datetime(2026, 4, 24, 1, 30)) == datetime(2026, 4, 23, 22, 30, tzinfo=UTC)
        for local in (datetime(2026, 4, 24, 0, 30), datetime(2026, 10, 29, 23, 30)):
            with pytest.raises(ValidationError, match="may be ambiguous or it may not exist"):
                from_current_timezone(local)


@pytest.mark.wrong("lab/python/time_and_money.py:wrong_closes")
def test_a_day_is_not_always_24_hours(session: Session, names: dict[str, object]) -> None:
    opened = datetime(2026, 4, 23, 12, 0, tzinfo=CAIRO)

    def passed(closed: datetime) -> timedelta:
        return closed.astimezone(UTC) - opened.astimezone(UTC)

    assert passed(wrong_closes(opened)) == timedelta(hours=23)
    assert passed(closes(opened)) == timedelta(hours=24)
    assert wrong_closes(opened) - opened == timedelta(hours=24), "one zone: the clocks on the wall are subtracted"
    session("time_and_money_closes.pycon", cairo=CAIRO, **names)


def test_the_month_ends(session: Session, names: dict[str, object]) -> None:
    assert due(date(2026, 11, 15), 14) == date(2028, 1, 15)
    assert due(date(2028, 1, 31), 1) == date(2028, 2, 29)
    session("time_and_money_month.pycon", **names)


def test_today_depends_on_where(
    time_machine: time_machine.TimeMachineFixture, session: Session, names: dict[str, object]
) -> None:
    time_machine.move_to(MORNING.replace(hour=22, minute=30), tick=False)
    session("time_and_money_today.pycon", **names)
    with timezone.override("Africa/Johannesburg"):
        assert timezone.localdate() == date(2026, 11, 24)


def test_what_fromisoformat_reads(session: Session, names: dict[str, object]) -> None:
    session("time_and_money_iso.pycon", datetime=datetime)


@pytest.mark.wrong("lab/python/time_and_money.py:wrong_seconds")
def test_the_wall_clock_is_set_back_during_the_work(time_machine: time_machine.TimeMachineFixture) -> None:
    time_machine.move_to(MORNING, tick=False)

    def work() -> None:
        time_machine.shift(-30)  # what a time server does to a clock that is fast

    assert wrong_seconds(work) == -30
    assert 0 <= seconds(work) < 5
    assert time.get_clock_info("monotonic").monotonic
    assert time.get_clock_info("time").adjustable


# Money


def test_what_float_does_to_money(session: Session) -> None:
    session("time_and_money_float.pycon", Decimal=Decimal)


def test_the_ways_to_round(record: Recorder) -> None:
    ways = {
        "ROUND_HALF_UP": "what people learn at school",
        "ROUND_HALF_EVEN": "the default, also of `round()`: halves go up and down equally often",
        "ROUND_DOWN": "cuts, toward zero",
        "ROUND_FLOOR": "toward minus infinity",
    }
    amounts = ("2.345", "2.335", "-2.345")
    rows = [f"| `rounding=` | {' | '.join(amounts)} | What it is |", "| --- | ---: | ---: | ---: | --- |"]
    for way, what in ways.items():
        rounded = [str(Decimal(amount).quantize(Decimal("0.01"), rounding=way)) for amount in amounts]
        rows.append(f"| `{way}` | {' | '.join(rounded)} | {what} |")
    assert decimal.getcontext().rounding == "ROUND_HALF_EVEN"
    assert round(Decimal("2.345"), 2) == Decimal("2.34")
    assert round(2.675, 2) == 2.67, "not even the school's rule: the float is below 2.675"
    record("time_and_money_rounding.md", "\n".join(rows))


@pytest.mark.wrong("lab/python/time_and_money.py:wrong_shares")
def test_a_cent_is_lost(session: Session, names: dict[str, object]) -> None:
    assert sum(wrong_shares(Decimal("100.00"), 3)) == Decimal("99.99")
    assert sum(wrong_shares(Decimal("100.00"), 6)) == Decimal("100.02"), "or two are made"
    session("time_and_money_shares.pycon", **names)


@settings(derandomize=True, deadline=None)
@given(st.integers(-(10**9), 10**9), st.sampled_from(sorted(DIGITS)), st.integers(1, 50))
def test_shares_lose_nothing(units: int, currency: str, people: int) -> None:
    amount = Decimal(units).scaleb(-DIGITS[currency])
    found = shares(amount, currency, people)
    assert sum(found) == amount
    assert len(found) == people
    assert max(found) - min(found) <= Decimal(1).scaleb(-DIGITS[currency])


def kept() -> list[str]:
    """Return what this database makes of three amounts."""
    field = DecimalField(max_digits=20, decimal_places=2)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE fees (amount {field.db_type(connection)})")
        cursor.execute("INSERT INTO fees VALUES (0.10), (0.20), (123456789012345678.91)")
        cursor.execute("SELECT amount FROM fees ORDER BY 1 DESC")
        large = cursor.fetchone()[0]
        # Without the word MariaDB would end the transaction, and other tests find what is in it.
        cursor.execute(f"DROP {'TEMPORARY ' * (connection.vendor == 'mysql')}TABLE fees")

    def amount(text: str) -> Cast:
        return Cast(Value(Decimal(text)), DecimalField(max_digits=6, decimal_places=2))

    courses = Course.objects.annotate(due=amount("0.10") + amount("0.20"))
    equal = courses.filter(due=Decimal("0.30")).count()
    return [f"`{field.db_type(connection)}`", f"`{large!r}`", "yes" if equal else "no"]


@pytest.mark.databases("sqlite")
def test_what_sqlite_keeps_of_a_decimal(academy: None) -> None:
    assert kept() == SQLITE
    large = Cast(Value("12345678901234567.89"), DecimalField(max_digits=20, decimal_places=2))
    amounts = Course.objects.annotate(amount=large).values_list("amount", flat=True)
    assert amounts[0] == Decimal("12345678901234600"), "15 digits are left"


@pytest.mark.databases("mariadb")
def test_what_mariadb_keeps_of_a_decimal(academy: None) -> None:
    assert kept() == ["`numeric(20, 2)`", "`Decimal('123456789012345678.91')`", "yes"]


@pytest.mark.databases("postgresql")
def test_what_postgresql_keeps_of_a_decimal(academy: None, record: Recorder) -> None:
    asked = ["Type of the column", "`123456789012345678.91` comes back as", "0.10 + 0.20 = 0.30"]
    rows = ["| `DecimalField(max_digits=20, decimal_places=2)` | SQLite | PostgreSQL |", "| --- | --- | --- |"]
    rows += [f"| {what} | {one} | {other} |" for what, one, other in zip(asked, SQLITE, kept(), strict=True)]
    record("time_and_money_kept.md", "\n".join(rows))


def test_an_amount_in_json(session: Session, names: dict[str, object]) -> None:
    session("time_and_money_json.pycon", **names)
