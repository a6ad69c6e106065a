"""The way of the old rows into the academy's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Count

from lab.challenges.database_relationships.fixed.signups import sign_up
from lab.challenges.database_relationships.sheet import Signup

if TYPE_CHECKING:
    from lab.challenges.database_relationships.sheet import Form


# --8<-- [start:moving]
def disagreements() -> list[str]:
    """Return the courses that the sheet tells two things about."""
    facts = ("starts_on", "ends_on", "tags")
    rows = Signup.objects.values("course").order_by("course")
    counted = rows.annotate(
        **{f"n_{fact}": Count(fact, distinct=True) for fact in facts}
    )
    return [row["course"] for row in counted if {row[f"n_{f}"] for f in facts} != {1}]


@transaction.atomic
def move() -> None:
    """Sign up everybody in the sheet; what is there already is not made twice."""
    if unclear := disagreements():
        raise ValueError(f"somebody has to decide about {', '.join(unclear)}")
    for row in Signup.objects.order_by("pk").iterator():
        form: Form = {
            "email": row.email,
            "learner": row.learner,
            "course": row.course,
            "starts_on": row.starts_on,
            "ends_on": row.ends_on,
            "tags": row.tags,
        }
        sign_up(form)


# --8<-- [end:moving]
