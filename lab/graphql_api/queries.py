"""Where reading starts, and a query that a client makes of a text that a visitor typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry
import strawberry_django

from lab.academy import models
from lab.graphql_api.connections import Pages
from lab.graphql_api.types import Course, Enrollment, Learner

if TYPE_CHECKING:
    from django.db.models import QuerySet


@strawberry.type
class Query:
    """Where reading starts."""

    enrollments: Pages[Enrollment] = strawberry_django.connection(
        description="Your own enrollments, and those in courses that you teach.",
    )

    # --8<-- [start:courses]
    @strawberry_django.connection(
        Pages[Course], description="The courses that you can know of, by title."
    )
    def courses(
        self, level: models.Course.Level | None = None, search: str | None = None
    ) -> list[Course]:
        """Return the courses that this user can know of, by title."""
        found = models.Course.objects.all()
        if level is not None:
            found = found.filter(level=level)
        if search:
            found = found.filter(title__icontains=search)
        return found  # type: ignore[return-value]

    # --8<-- [end:courses]

    @strawberry_django.field(description="A course, if there is one that you can see.")
    def course(self, slug: str) -> Course | None:
        """Return a course by its slug."""
        return models.Course.objects.filter(slug=slug)  # type: ignore[return-value]

    @strawberry_django.field(description="The learner who asks; null for others.")
    def me(self, info: strawberry.Info) -> Learner | None:
        """Return the learner of the signed-in user."""
        user = info.context.request.user
        if not user.is_authenticated:
            return None
        learners: QuerySet[models.Learner] = models.Learner.objects.filter(user=user)
        return learners  # type: ignore[return-value]


# --8<-- [start:wrong_search]
def wrong_search(text: str) -> dict[str, Any]:
    """Return the body of a request that looks for courses."""
    return {
        "query": f'{{ courses(search: "{text}") {{ edges {{ node {{ title }} }} }} }}'
    }


# --8<-- [end:wrong_search]


# --8<-- [start:search]
SEARCH = """
query Search($text: String!) {
  courses(search: $text) { edges { node { title } } }
}
"""


def search(text: str) -> dict[str, Any]:
    """Return the body of a request that looks for courses."""
    return {"query": SEARCH, "variables": {"text": text}}


# --8<-- [end:search]
