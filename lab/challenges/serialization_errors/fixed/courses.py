"""Courses over HTTP: list, add, replace, change."""

from __future__ import annotations

from typing import Any

from rest_framework import permissions, serializers, viewsets
from rest_framework.validators import UniqueValidator

from lab.academy.models import Course


# --8<-- [start:serializer]
class CourseSerializer(serializers.ModelSerializer):
    """A course."""

    class Meta:
        model = Course
        fields = ["slug", "title", "seats", "starts_on", "ends_on"]
        extra_kwargs = {
            "slug": {
                "validators": [
                    UniqueValidator(
                        Course.objects.all(), message="Another course has this slug."
                    )
                ],
                "error_messages": {"invalid": "Write it like sql-in-depth."},
            },
            "seats": {
                "min_value": 1,
                "error_messages": {"min_value": "A course has at least one seat."},
            },
        }

    def validate_title(self, title: str) -> str:
        """Refuse a title in capitals."""
        if title.isupper():
            raise serializers.ValidationError("Write the title in lower case.")
        return title

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a course that ends before it starts."""
        stored = self.instance or Course()
        starts = attrs.get("starts_on", stored.starts_on)
        ends = attrs.get("ends_on", stored.ends_on)
        if ends < starts:
            raise serializers.ValidationError(
                {"ends_on": "The course ends before it starts."}
            )
        return attrs


# --8<-- [end:serializer]


class Courses(viewsets.ModelViewSet):
    """The courses; who may change them is left out, to keep the exercise short."""

    queryset = Course.objects.all()
    serializer_class = CourseSerializer
    permission_classes = [permissions.AllowAny]
    throttle_classes = []
    lookup_field = "slug"
