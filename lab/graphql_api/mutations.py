"""Where changing starts, by the rules that the REST API has too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry
import strawberry_django
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from graphql import GraphQLError
from strawberry import relay
from strawberry.utils.str_converters import to_camel_case

from lab.academy import enrolling, models
from lab.academy.visibility import visible_courses, visible_enrollments
from lab.graphql_api.types import Enrollment, Lesson

if TYPE_CHECKING:
    from lab.academy.models import User


# --8<-- [start:problems]
@strawberry.interface(description="Why nothing was changed.")
class Problem:
    """What all refusals have."""

    message: str


@strawberry.type(description="A rule of the academy, or its state, forbids it.")
class NotPossible(Problem):
    """The input is fine; try again when something else has changed."""


@strawberry.type(description="What is wrong with one field of the input.")
class FieldProblem:
    """A message for the place where somebody typed."""

    field: str
    message: str


@strawberry.type(description="Some values are not valid.")
class InvalidInput(Problem):
    """The input has to change first."""

    fields: list[FieldProblem]


# --8<-- [end:problems]

# --8<-- [start:results]
EnrollResult = Annotated[Enrollment | NotPossible, strawberry.union("EnrollResult")]
AddLessonResult = Annotated[
    Lesson | InvalidInput | NotPossible, strawberry.union("AddLessonResult")
]
GradeResult = Annotated[Enrollment | InvalidInput, strawberry.union("GradeResult")]
# --8<-- [end:results]


# --8<-- [start:input]
@strawberry.input(description="A lesson to be added to a course that you teach.")
class AddLessonInput:
    """What a new lesson needs."""

    course_slug: str
    position: int
    title: str
    minutes: int = 30


# --8<-- [end:input]


def invalid(**messages: str) -> InvalidInput:
    """Return one message a field."""
    return InvalidInput(
        message="Some values are not valid.",
        fields=[
            FieldProblem(field=to_camel_case(field), message=message)
            for field, message in messages.items()
        ],
    )


# --8<-- [start:errors]
def signed_in(info: strawberry.Info) -> User:
    """Return the user who asks; nobody else gets past this line."""
    user: User = info.context.request.user
    if not user.is_authenticated:
        raise GraphQLError(
            "You are not signed in.", extensions={"code": "UNAUTHENTICATED"}
        )
    return user


def forbidden(message: str) -> GraphQLError:
    """Return the error for a user who may not do this."""
    return GraphQLError(message, extensions={"code": "FORBIDDEN"})


# --8<-- [end:errors]


# --8<-- [start:add]
def add(
    user: User,
    input: AddLessonInput,  # noqa: A002
) -> models.Lesson | InvalidInput | NotPossible:
    """Add a lesson to a course of this user, if its position is free."""
    course = visible_courses(user).filter(slug=input.course_slug).first()
    if course is None:
        return invalid(course_slug="There is no such course.")
    if course.teacher_id != user.pk:
        raise forbidden("Only the teacher of a course adds lessons.")
    lesson = models.Lesson(
        course=course,
        position=input.position,
        title=input.title,
        minutes=input.minutes,
    )
    try:
        lesson.full_clean(validate_constraints=False)
        with transaction.atomic():
            lesson.save()
    except ValidationError as error:
        return invalid(
            **{field: texts[0] for field, texts in error.message_dict.items()}
        )
    except IntegrityError:  # the database knows which positions are free
        return NotPossible(message="there is a lesson at this position")
    return lesson


# --8<-- [end:add]


@strawberry.type
class Mutation:
    """Where changing starts."""

    # --8<-- [start:enroll]
    @strawberry_django.mutation(description="Take a seat in a course.")
    def enroll(self, info: strawberry.Info, course_slug: str) -> EnrollResult:
        """Take a seat for the learner who asks."""
        user = signed_in(info)
        learner: models.Learner | None = getattr(user, "learner", None)
        if learner is None:
            raise forbidden("Only learners enroll.")
        course = visible_courses(user).filter(slug=course_slug).first()
        if course is None:
            return NotPossible(message="there is no such course")
        try:
            return enrolling.enroll(learner, course)  # type: ignore[return-value]
        except enrolling.CannotEnroll as reason:
            return NotPossible(message=str(reason))

    # --8<-- [end:enroll]

    @strawberry_django.mutation(description="Add a lesson to a course that you teach.")
    def add_lesson(
        self,
        info: strawberry.Info,
        input: AddLessonInput,  # noqa: A002  (the name that clients write)
    ) -> AddLessonResult:
        """Add a lesson, if its position is free."""
        return add(signed_in(info), input)  # type: ignore[return-value]

    # --8<-- [start:grade_enrollment]
    @strawberry_django.mutation(
        description="Grade somebody in a course that you teach."
    )
    def grade_enrollment(
        self,
        info: strawberry.Info,
        id: relay.GlobalID,  # noqa: A002
        grade: int,
    ) -> GradeResult:
        """Set the grade of an enrollment."""
        user = signed_in(info)
        enrollment = None
        if id.type_name == "Enrollment" and id.node_id.isdecimal():
            known = visible_enrollments(user).select_related("course")
            enrollment = known.filter(pk=id.node_id).first()
        if enrollment is None:
            return invalid(id="There is no such enrollment.")
        if enrollment.course.teacher_id != user.pk:
            raise forbidden("Only the teacher of a course grades.")
        if not 0 <= grade <= 100:
            return invalid(grade="A grade is a number from 0 to 100.")
        enrollment.grade = grade
        enrollment.save(update_fields=["grade"])
        return enrollment  # type: ignore[return-value]

    # --8<-- [end:grade_enrollment]
