"""Views and serializers that fail as people report it; the symptom index has their errors."""

from __future__ import annotations

from typing import Any

from rest_framework import permissions, serializers, viewsets
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.parsers import JSONParser
from rest_framework.views import APIView, exception_handler

from lab.academy.models import Course, Lesson, Tag


class Reading(APIView):
    """Anybody may read; with DRF's own settings: JSON, and its error format."""

    parser_classes = [JSONParser]
    authentication_classes: list[type] = [BasicAuthentication]
    permission_classes: list[type] = []
    throttle_classes: list[type] = []

    def get_exception_handler(self) -> Any:
        """Return DRF's own."""
        return exception_handler


class Writing(Reading):
    """Anybody may send something."""

    def post(self, request: Any) -> Any:
        """Read what came."""
        return request.data


class SignedIn(Writing):
    """Whoever has signed in may send something."""

    permission_classes = [permissions.IsAuthenticated]


class BySession(SignedIn):
    """Signed in by the session's cookie, as a browser is."""

    authentication_classes = [SessionAuthentication]


class TagSerializer(serializers.ModelSerializer):
    """A name."""

    class Meta:
        model = Tag
        fields = ["id", "name"]


class Tags(viewsets.ReadOnlyModelViewSet):
    """A view set whose queryset only a method knows."""

    serializer_class = TagSerializer
    permission_classes: list[type] = []

    def get_queryset(self) -> Any:
        """Return all tags."""
        return Tag.objects.all()


class UnknownNameSerializer(serializers.ModelSerializer):
    """A course with the name of its teacher, as if that were a column."""

    class Meta:
        model = Course
        fields = ["title", "teacher_name"]


class UnknownAttributeSerializer(serializers.Serializer):
    """The same, declared."""

    teacher_name = serializers.CharField()


class LessonSerializer(serializers.ModelSerializer):
    """A part of a course."""

    class Meta:
        model = Lesson
        fields = ["position", "title"]


class NestedSerializer(serializers.ModelSerializer):
    """A course with its lessons, which nobody says how to write."""

    lessons = LessonSerializer(many=True)

    class Meta:
        model = Course
        fields = ["title", "lessons"]
