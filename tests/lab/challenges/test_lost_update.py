"""Two teachers add points to one grade at the same moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection, transaction

from lab.academy.models import Enrollment
from lab.challenges.lost_update.broken import points as broken
from lab.challenges.lost_update.fixed import points as fixed
from lab.challenges.lost_update.fixed import points_locked
from tests.lab.database_design.two import LIMIT, people, waits
from tests.lab.workers import within
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

PATIENCE = 5  # seconds for the second; a lock that PostgreSQL does not know of lasts as long


def grade_after_two(*add_points: Callable[..., None]) -> int | None:
    """Let two teachers give ten points each to a grade of 50, and return the grade."""
    seat = Enrollment.objects.order_by("pk")[0]
    Enrollment.objects.filter(pk=seat.pk).update(grade=50)
    thinking, decide = set(), threading.Event()

    def ten(_: Enrollment) -> int:
        """Think until the other is thinking too, or is kept out by a lock."""
        thinking.add(threading.get_ident())
        assert decide.wait(LIMIT)
        return 10

    with people("Ama", "Kofi") as teachers:
        steps = [teacher.thread.submit(add, seat.pk, ten) for teacher, add in zip(teachers, add_points, strict=True)]
        within(PATIENCE, lambda: len(thinking) == 2 or any(waits(teacher.process) for teacher in teachers))
        decide.set()
        for step in steps:
            step.result(LIMIT)
    seat.refresh_from_db()
    return seat.grade


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.broken("lost_update.txt")
@pytest.mark.wrong("lab/challenges/lost_update/broken/points.py:wrong_add_points")
def test_no_point_is_lost(version: Version, academy: None) -> None:
    grade = grade_after_two(*(copy.add_points for copy in version.copies("points")))
    assert grade == 70, "two teachers gave ten points each to a grade of 50"


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_lock_helps_as_well(academy: None) -> None:
    assert grade_after_two(points_locked.add_points, points_locked.add_points) == 70


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_transaction_alone_does_not_help_and_repeatable_read_refuses(academy: None) -> None:
    together = transaction.atomic(broken.add_points)
    assert grade_after_two(together, together) == 60

    @transaction.atomic
    def repeatable(*arguments: Any) -> None:
        connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        broken.add_points(*arguments)

    with pytest.raises(OperationalError, match="could not serialize access due to concurrent update"):
        grade_after_two(repeatable, repeatable)


@pytest.mark.django_db
@pytest.mark.parametrize("module", [fixed, points_locked])
def test_a_grade_that_is_empty_counts_as_none(academy: None, module: ModuleType) -> None:
    Enrollment.objects.filter(pk=1).update(grade=None)
    module.add_points(1, lambda _: 10)
    assert Enrollment.objects.get(pk=1).grade == 10


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
