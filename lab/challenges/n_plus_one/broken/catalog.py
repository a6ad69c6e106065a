"""The catalog for the front page: every course with what its card shows."""

from __future__ import annotations

from typing import Any

from rest_framework import generics, permissions, serializers

from lab.academy.models import Course, Lesson


class LessonSerializer(serializers.ModelSerializer):
    """A lesson on the card of its course."""

    class Meta:
        model = Lesson
        fields = ["position", "title"]


# --8<-- [start:wrong_serializer]
class CardSerializer(serializers.ModelSerializer):
    """What the card of a course shows."""

    teacher = serializers.SerializerMethodField()
    tags: serializers.Field = serializers.SlugRelatedField(
        "name", many=True, read_only=True
    )
    lessons = LessonSerializer(many=True, read_only=True)
    seats_left = serializers.SerializerMethodField()
    longest = serializers.SerializerMethodField()

    class Meta:
        model = Course
        fields = ["title", "teacher", "tags", "lessons", "seats_left", "longest"]

    def get_teacher(self, course: Course) -> str:
        """Return the first name."""
        return course.teacher.first_name if course.teacher else "to be announced"

    def get_seats_left(self, course: Course) -> int:
        """Return how many more may join."""
        return course.seats - course.enrollments.count()

    def get_longest(self, course: Course) -> dict[str, Any] | None:
        """Return the longest lesson, of two the first."""
        lesson = course.lessons.order_by("-minutes", "position").first()
        return LessonSerializer(lesson).data if lesson else None


class Catalog(generics.ListAPIView):
    """Every published course."""

    queryset = Course.objects.filter(published=True)
    serializer_class = CardSerializer
    permission_classes = [permissions.AllowAny]
    pagination_class = None  # one page has them all


# --8<-- [end:wrong_serializer]
