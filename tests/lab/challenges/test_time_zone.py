"""A report by month, for offices whose midnight is not that of UTC."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from lab.academy.models import User

if TYPE_CHECKING:
    from tests.lab.challenges.conftest import Version

OPENED = ("2026-04-30T21:30Z", "2026-10-31T21:30Z", "2026-11-01T00:30Z", "2026-12-31T22:30Z")
OFFICES = {
    "Africa/Accra": {"2026-04": 1, "2026-10": 1, "2026-11": 1, "2026-12": 1},  # as UTC
    "Africa/Nairobi": {"2026-05": 1, "2026-11": 2, "2027-01": 1},  # three hours ahead
    "Africa/Cairo": {"2026-05": 1, "2026-10": 1, "2026-11": 1, "2027-01": 1},  # two, and three in summer
    "Atlantic/Cape_Verde": {"2026-04": 1, "2026-10": 2, "2026-12": 1},  # one hour behind
}


def shown(report: dict[str, int]) -> str:
    """Return a report on one line."""
    return ", ".join(f"{month}: {count}" for month, count in sorted(report.items()))


# Quick, and the only test of its module: tests/tools/test_challenge.py takes it as a reader's exercise.
@pytest.mark.django_db
@pytest.mark.broken("time_zone.txt")
@pytest.mark.wrong("lab/challenges/time_zone/broken/report.py:wrong_report")
def test_a_month_ends_at_the_midnight_of_the_office(version: Version) -> None:
    for number, moment in enumerate(OPENED):
        joined = datetime.datetime.fromisoformat(moment)
        User.objects.create(email=f"learner-{number}@example.com", date_joined=joined)
    accounts_by_month = version.module("report").accounts_by_month
    wrong = []
    for office, expected in OFFICES.items():
        found = accounts_by_month(ZoneInfo(office))
        if found != expected:
            wrong += [office, f"  reports  {shown(found)}", f"  and not  {shown(expected)}"]
    if wrong:
        raise AssertionError("\n".join(["the accounts of a month", *wrong]))
