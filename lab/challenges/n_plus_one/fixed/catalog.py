"""The catalog for the front page: every course with what its card shows."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F
from rest_framework import generics, permissions, serializers

from lab.academy.models import Course, Lesson


class LessonSerializer(serializers.ModelSerializer):
    """A lesson on the card of its course."""

    class Meta:
        model = Lesson
        fields = ["position", "title"]


# --8<-- [start:serializer]
class CardSerializer(serializers.ModelSerializer):
    """What the card of a course shows, of the rows that ``cards`` has loaded."""

    cards = (
        Course.objects.filter(published=True)
        .select_related("teacher")
        .prefetch_related("tags", "lessons")
        .annotate(seats_left=F("seats") - Count("enrollments"))
        .order_by("title", "pk")  # a query with GROUP BY forgets Meta.ordering
    )

    teacher = serializers.SerializerMethodField()
    tags: serializers.Field = serializers.SlugRelatedField(
        "name", many=True, read_only=True
    )
    lessons = LessonSerializer(many=True, read_only=True)
    seats_left = serializers.IntegerField(read_only=True)
    longest = serializers.SerializerMethodField()

    class Meta:
        model = Course
        fields = ["title", "teacher", "tags", "lessons", "seats_left", "longest"]

    def get_teacher(self, course: Course) -> str:
        """Return the first name."""
        return course.teacher.first_name if course.teacher else "to be announced"

    def get_longest(self, course: Course) -> dict[str, Any] | None:
        """Return the longest lesson, of two the first."""
        # all() is answered from what was prefetched; order_by() would ask again.
        lesson = max(course.lessons.all(), key=lambda one: one.minutes, default=None)
        return LessonSerializer(lesson).data if lesson else None


class Catalog(generics.ListAPIView):
    """Every published course."""

    queryset = CardSerializer.cards
    serializer_class = CardSerializer
    permission_classes = [permissions.AllowAny]
    pagination_class = None  # one page has them all


# --8<-- [end:serializer]
