"""Courses over HTTP: list, add, replace, change."""

from __future__ import annotations

from typing import Any

from rest_framework import permissions, serializers, viewsets

from lab.academy.models import Course


# --8<-- [start:wrong_serializer]
class CourseSerializer(serializers.ModelSerializer):
    """A course."""

    slug = serializers.CharField()
    seats = serializers.IntegerField(required=False)

    class Meta:
        model = Course
        fields = ["slug", "title", "seats", "starts_on", "ends_on"]

    def validate_title(self, title: str) -> str:
        """Refuse a title in capitals."""
        if title.isupper():
            raise ValueError("The title is written in capitals.")
        return title

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a course that ends before it starts."""
        if attrs["ends_on"] < attrs["starts_on"]:
            raise serializers.ValidationError("The course ends before it starts.")
        return attrs


# --8<-- [end:wrong_serializer]


class Courses(viewsets.ModelViewSet):
    """The courses; who may change them is left out, to keep the exercise short."""

    queryset = Course.objects.all()
    serializer_class = CourseSerializer
    permission_classes = [permissions.AllowAny]
    throttle_classes = []
    lookup_field = "slug"
