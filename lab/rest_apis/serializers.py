"""What the API says about the academy, and what it lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Count, F
from rest_framework import serializers

from lab.academy.models import Course, Enrollment, Lesson, Tag

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:lesson]
class LessonSerializer(serializers.ModelSerializer):
    """One part of a course."""

    class Meta:
        model = Lesson
        fields = ["position", "title", "minutes"]
        extra_kwargs = {
            "position": {"min_value": 1, "max_value": 1000},
            "minutes": {"min_value": 1, "max_value": 600},
        }


# --8<-- [end:lesson]


# --8<-- [start:course]
class CourseSerializer(serializers.ModelSerializer):
    """A course without its lessons."""

    tags = serializers.SlugRelatedField(
        slug_field="name", queryset=Tag.objects.all(), many=True, required=False
    )

    class Meta:
        model = Course
        fields = [
            "slug",
            "title",
            "description",
            "level",
            "seats",
            "published",
            "starts_on",
            "ends_on",
            "tags",
        ]
        read_only_fields = ["published"]
        extra_kwargs: dict[str, Any] = {"seats": {"min_value": 1, "max_value": 10_000}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a course that ends before it starts, whichever day has come."""
        starts = attrs.get("starts_on", getattr(self.instance, "starts_on", None))
        ends = attrs.get("ends_on", getattr(self.instance, "ends_on", None))
        if starts and ends and ends < starts:
            raise serializers.ValidationError(
                {"ends_on": "The course ends before it starts."}, code="order"
            )
        return attrs


# --8<-- [end:course]


# --8<-- [start:enrollment]
class EnrollmentSerializer(serializers.ModelSerializer):
    """A learner's place in a course; who it is follows from who asks."""

    learner: serializers.Field = serializers.StringRelatedField()
    course = serializers.SlugRelatedField(
        slug_field="slug", queryset=Course.objects.filter(published=True)
    )

    class Meta:
        model = Enrollment
        fields = ["id", "learner", "course", "enrolled_on", "grade"]
        read_only_fields = ["enrolled_on", "grade"]


class GradeSerializer(serializers.ModelSerializer):
    """The one thing about an enrollment that its teacher changes."""

    class Meta:
        model = Enrollment
        fields = ["grade"]
        extra_kwargs = {"grade": {"max_value": 100}}


# --8<-- [end:enrollment]


# --8<-- [start:roster]
class RosterSerializer(serializers.ModelSerializer):
    """A line of a class list."""

    name = serializers.CharField(source="learner.name", read_only=True)
    since = serializers.DateField(source="enrolled_on", read_only=True)
    passed = serializers.SerializerMethodField()

    class Meta:
        model = Enrollment
        fields = ["name", "since", "passed"]

    def get_passed(self, enrollment: Enrollment) -> bool | None:
        """Return whether the grade is enough; None while there is no grade."""
        return None if enrollment.grade is None else enrollment.grade >= 60


# --8<-- [end:roster]


# --8<-- [start:wrong_seats_left]
class CountingSerializer(CourseSerializer):
    """A course with the number of free seats."""

    seats_left = serializers.SerializerMethodField()

    class Meta(CourseSerializer.Meta):
        fields = ["slug", "seats", "seats_left"]

    def get_seats_left(self, course: Course) -> int:
        """Return how many more learners can join."""
        return course.seats - course.enrollments.count()


# --8<-- [end:wrong_seats_left]


# --8<-- [start:seats_left]
def with_seats_left(courses: QuerySet[Course]) -> QuerySet[Course]:
    """Let the database count the free seats of all courses at once."""
    counted = courses.annotate(seats_left=F("seats") - Count("enrollments"))
    return counted.order_by("title", "pk")  # an aggregate drops the model's ordering


class CountedSerializer(CourseSerializer):
    """A course with the number of free seats, from ``with_seats_left``."""

    seats_left = serializers.IntegerField(read_only=True)

    class Meta(CourseSerializer.Meta):
        fields = ["slug", "seats", "seats_left"]


# --8<-- [end:seats_left]


# --8<-- [start:wrong_all_fields]
class OpenCourseSerializer(serializers.ModelSerializer):
    """A course with whatever columns it has."""

    class Meta:
        model = Course
        fields = "__all__"


class OpenEnrollmentSerializer(serializers.ModelSerializer):
    """An enrollment with whatever columns it has."""

    class Meta:
        model = Enrollment
        fields = "__all__"


# --8<-- [end:wrong_all_fields]


# --8<-- [start:period]
class PeriodSerializer(serializers.Serializer):
    """The days that a calendar shows: a question, and no row of a table."""

    first = serializers.DateField()
    last = serializers.DateField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what a calendar cannot show."""
        if not 0 <= (attrs["last"] - attrs["first"]).days <= 366:
            raise serializers.ValidationError("Ask for one day to a year.")
        return attrs


# --8<-- [end:period]
