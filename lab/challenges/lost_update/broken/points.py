"""Points that teachers add to a grade."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.academy.models import Enrollment

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:wrong_add_points]
def add_points(enrollment: int, rule: Callable[[Enrollment], int]) -> None:
    """Add to a grade what a rule gives; the rule may take its time."""
    seat = Enrollment.objects.get(pk=enrollment)
    seat.grade = (seat.grade or 0) + rule(seat)
    seat.save()


# --8<-- [end:wrong_add_points]
