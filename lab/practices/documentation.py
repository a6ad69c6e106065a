"""Documentation that a test can hold to the truth: examples, and what an API says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema, extend_schema_view

from lab.rest_apis.views import EnrollmentViewSet

if TYPE_CHECKING:
    from collections.abc import Iterator


# --8<-- [start:seats_left]
def seats_left(seats: int, enrolled: int) -> int:
    """Return how many learners can still enroll.

    Never negative: a course whose seats are cut keeps its learners.

    >>> seats_left(seats=20, enrolled=18)
    2
    >>> seats_left(seats=10, enrolled=18)
    0
    """
    return max(0, seats - enrolled)


# --8<-- [end:seats_left]


# --8<-- [start:described]
@extend_schema_view(
    create=extend_schema(
        description=(
            "Takes a seat at once; there is no waiting list. 409 says why not: a "
            "full course, or a second time. A draft is unknown here: 400."
        )
    ),
    partial_update=extend_schema(description="Sets the grade; null takes it back."),
    destroy=extend_schema(description="Gives the seat back, and forgets the grade."),
)
class DescribedEnrollmentViewSet(EnrollmentViewSet):
    """A learner's own enrollments, and those in the courses that one teaches."""


# --8<-- [end:described]


# --8<-- [start:borrowed]
def borrowed(document: dict[str, Any]) -> Iterator[str]:
    """Yield each operation that changes something in the words of one that reads."""
    for path, item in document["paths"].items():
        words = item.get("get", {}).get("description")
        for method, operation in item.items():
            if words and method != "get" and operation.get("description") == words:
                yield f"{method.upper()} {path}: {words}"


# --8<-- [end:borrowed]
