"""Two teachers add points to one grade at the same moment."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from lab.academy.models import Enrollment
from lab.challenges.lost_update.broken import points as broken
from lab.challenges.lost_update.fixed import points as fixed
from lab.challenges.lost_update.fixed import points_locked
from tests.lab.database_design.two import LIMIT, people
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder


def grade_after_two(add_points: Callable[..., None]) -> int | None:
    """Let two teachers give ten points each to a grade of 50, and return the grade."""
    seat = Enrollment.objects.order_by("pk")[0]
    Enrollment.objects.filter(pk=seat.pk).update(grade=50)
    both = threading.Barrier(2)

    def ten(_: Enrollment) -> int:
        """Think until the other is thinking too; whoever is kept out by a lock is not waited for."""
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)
        return 10

    with people("Ama", "Kofi") as teachers:
        for step in [teacher.thread.submit(add_points, seat.pk, ten) for teacher in teachers]:
            step.result(LIMIT)
    seat.refresh_from_db()
    return seat.grade


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.broken("lost_update.txt")
@pytest.mark.wrong("lab/challenges/lost_update/broken/points.py:wrong_add_points")
def test_no_point_is_lost(version: Version, academy: None) -> None:
    grade = grade_after_two(version.module("points").add_points)
    assert grade == 70, "two teachers gave ten points each to a grade of 50"


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_lock_helps_as_well(academy: None) -> None:
    assert grade_after_two(points_locked.add_points) == 70


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("module", "name", "sum_is_sent"),
    [(broken, "lost_update_broken.sql", True), (fixed, "lost_update_fixed.sql", False)],
    ids=["broken", "fixed"],
)
def test_what_is_sent(academy: None, record: Recorder, module: ModuleType, name: str, sum_is_sent: bool) -> None:
    Enrollment.objects.filter(pk=1).update(grade=50)
    with queries() as sent:
        module.add_points(1, lambda _: 10)
    record(name, sent.text)
    assert ("60" in sent.text) is sum_is_sent
