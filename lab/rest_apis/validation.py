"""Which level checks what, and what a request hears that comes second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.urls import path
from rest_framework import generics, serializers

from lab.academy.models import Course
from lab.rest_apis.errors import Conflict
from lab.rest_apis.permissions import TeachesOrReads
from lab.rest_apis.serializers import CourseSerializer

if TYPE_CHECKING:
    import datetime

    from rest_framework.serializers import BaseSerializer


# --8<-- [start:validators]
def monday(day: datetime.date) -> None:
    """Refuse any other day of the week."""
    if day.weekday() != 0:
        raise serializers.ValidationError("Courses start on a Monday.", code="monday")


class NotOneOf:
    """Refuse words that have another meaning, in capitals too."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, value: str) -> None:
        """Raise if the value is one of the words."""
        if value.lower() in self.words:
            raise serializers.ValidationError(
                f"The word “{value}” is reserved.", code="reserved"
            )


# --8<-- [end:validators]


# --8<-- [start:field]
class AnnouncedCourseSerializer(CourseSerializer):
    """A course with rules about single values."""

    class Meta(CourseSerializer.Meta):
        extra_kwargs = {
            **CourseSerializer.Meta.extra_kwargs,
            "title": {
                "validators": [NotOneOf("new", "test")],
                "error_messages": {"blank": "Give the course a title."},
            },
            "starts_on": {"validators": [monday]},
        }

    def validate_title(self, value: str) -> str:
        """Refuse capitals alone; return the value, as it is to be stored."""
        if value.isupper():
            raise serializers.ValidationError(
                "Write it in lower case.", code="capitals"
            )
        return value


# --8<-- [end:field]


# --8<-- [start:wrong_object]
class ForgetfulCourseSerializer(CourseSerializer):
    """A course whose days are compared only if both came."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a course that ends before it starts."""
        starts, ends = attrs.get("starts_on"), attrs.get("ends_on")
        if starts and ends and ends < starts:
            raise serializers.ValidationError({"ends_on": "It ends before it starts."})
        return attrs


# --8<-- [end:wrong_object]


# --8<-- [start:unknown]
class RefusesUnknownFields(serializers.Serializer):
    """Refuse names that the serializer does not have, instead of dropping them."""

    def to_internal_value(self, data: Any) -> Any:
        """Look at the names first, then at the values."""
        if isinstance(data, Mapping):
            unknown = sorted(data.keys() - self.fields.keys())
            if unknown:
                raise serializers.ValidationError(
                    {name: ["There is no such field."] for name in unknown}, "unknown"
                )
        return super().to_internal_value(data)


class StrictCourseSerializer(RefusesUnknownFields, CourseSerializer):
    """A course that takes its own fields and nothing else."""


# --8<-- [end:unknown]


# --8<-- [start:save]
def save_or_conflict(serializer: BaseSerializer, **values: Any) -> None:
    """Save; answer 409 if another request stored the same after the check.

    Raises:
        Conflict: The data were right, and now they are not.
        IntegrityError: The database refuses what the serializer lets in: a bug.
    """
    try:
        with transaction.atomic():
            serializer.save(**values)
    except IntegrityError:
        try:
            serializer.run_validation(serializer.initial_data)
        except serializers.ValidationError as mistake:
            raise Conflict("Another request was faster. Read again.") from mistake
        raise


# --8<-- [end:save]


# --8<-- [start:wrong_save]
class HopefulCourses(generics.CreateAPIView):
    """Add a course, hoping that nothing happens between the check and the INSERT."""

    serializer_class = CourseSerializer
    permission_classes = [TeachesOrReads]
    detail = False  # the permission asks: this is the collection

    def perform_create(self, serializer: BaseSerializer) -> None:
        """Make whoever adds a course its teacher."""
        serializer.save(teacher=self.request.user)


# --8<-- [end:wrong_save]


class OneCourse(generics.UpdateAPIView):
    """Change a course."""

    queryset = Course.objects.all()
    serializer_class = CourseSerializer
    permission_classes = [TeachesOrReads]
    lookup_field = "slug"


class ForgetfulCourse(OneCourse):
    """Change a course, its days compared only if both came."""

    serializer_class = ForgetfulCourseSerializer


class StrictCourse(OneCourse):
    """Change a course by the names of its fields and no others."""

    serializer_class = StrictCourseSerializer


urlpatterns = [
    path("hopeful/", HopefulCourses.as_view()),
    path("forgetful/<slug:slug>/", ForgetfulCourse.as_view()),
    path("strict/<slug:slug>/", StrictCourse.as_view()),
]
