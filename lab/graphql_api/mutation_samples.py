"""Several changes in one: all of them or none. And a mutation that tells too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry
import strawberry_django
from django.db import transaction
from strawberry.extensions import MaskErrors

from lab.academy import models
from lab.graphql_api.mutations import (
    AddLessonInput,
    InvalidInput,
    Mutation,
    NotPossible,
    Problem,
    add,
    signed_in,
)
from lab.graphql_api.queries import Query
from lab.graphql_api.schema import is_a_bug
from lab.graphql_api.types import Lesson

if TYPE_CHECKING:
    from lab.academy.models import User


@strawberry.type(description="The lessons that were added.")
class Lessons:
    """Several lessons."""

    lessons: list[Lesson]


AddLessonsResult = Annotated[
    Lessons | InvalidInput | NotPossible, strawberry.union("AddLessonsResult")
]


# --8<-- [start:add_all]
def add_all(user: User, inputs: list[AddLessonInput]) -> Lessons | Problem:
    """Add all lessons, or none if one of them is refused."""
    lessons = []
    with transaction.atomic():
        for one in inputs:
            added = add(user, one)
            if isinstance(added, Problem):
                transaction.set_rollback(True)
                return added
            lessons.append(added)
    return Lessons(lessons=lessons)  # type: ignore[arg-type]


# --8<-- [end:add_all]


@strawberry.type(name="Mutation")
class Batches(Mutation):
    """The lab's mutations, and two more."""

    @strawberry_django.mutation
    def add_lessons(
        self,
        info: strawberry.Info,
        input: list[AddLessonInput],  # noqa: A002
    ) -> AddLessonsResult:
        """Add several lessons."""
        return add_all(signed_in(info), input)  # type: ignore[return-value]

    # --8<-- [start:wrong_copy_lesson]
    @strawberry_django.mutation
    def copy_lesson(self, info: strawberry.Info, slug: str, position: int) -> Lesson:
        """Repeat a lesson in its course."""
        signed_in(info)
        lesson = models.Lesson.objects.get(course__slug=slug, position=position)
        return models.Lesson.objects.create(  # type: ignore[return-value]
            course=lesson.course, position=lesson.position, title=lesson.title
        )

    # --8<-- [end:wrong_copy_lesson]


telling = strawberry.Schema(query=Query, mutation=Batches)
masking = strawberry.Schema(
    query=Query,
    mutation=Batches,
    extensions=[lambda: MaskErrors(should_mask_error=is_a_bug)],
)
