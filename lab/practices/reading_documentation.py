"""A question that the documentation and the source answer: where does a row lock hold."""

from __future__ import annotations

from lab.academy.models import Course


# --8<-- [start:wrong_reserve]
def wrong_reserve(slug: str) -> Course:
    """Return a course that nobody else changes until this transaction ends."""
    return Course.objects.select_for_update().get(slug=slug)


# --8<-- [end:wrong_reserve]
