"""Transactions that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from lab.academy.models import Enrollment

if TYPE_CHECKING:
    from lab.academy.models import Course, Learner


# --8<-- [start:wrong_move]
async def wrong_move(learner: Learner, old: Course, new: Course) -> None:
    """Change a learner's course."""
    await Enrollment.objects.filter(learner=learner, course=old).adelete()
    await Enrollment.objects.acreate(learner=learner, course=new)


# --8<-- [end:wrong_move]


# --8<-- [start:wrong_atomic]
async def wrong_atomic(learner: Learner, old: Course, new: Course) -> None:
    """Change a learner's course: both steps or neither."""
    with transaction.atomic():
        await wrong_move(learner, old, new)


# --8<-- [end:wrong_atomic]
