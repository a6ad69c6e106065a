"""Views that describe themselves wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from rest_framework import generics, permissions, serializers
from rest_framework.response import Response

from lab.academy.visibility import visible_courses
from lab.rest_apis.serializers import CourseSerializer

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request

    from lab.academy.models import Course


class CourseView(generics.RetrieveAPIView):
    """One course."""

    serializer_class: type[serializers.Serializer] = CourseSerializer
    permission_classes = [permissions.AllowAny]
    authentication_classes = []
    versioning_class = None
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of."""
        return visible_courses(self.request.user)


# --8<-- [start:wrong_hint]
class DaysSerializer(CourseSerializer):
    """A course with its length."""

    days = serializers.SerializerMethodField()

    class Meta(CourseSerializer.Meta):
        fields = ["slug", "days"]

    def get_days(self, course):  # type: ignore[no-untyped-def]
        """Return how many days the course takes."""
        return (course.ends_on - course.starts_on).days + 1


# --8<-- [end:wrong_hint]


class DaysView(CourseView):
    """The length of a course."""

    serializer_class = DaysSerializer


# --8<-- [start:wrong_answer]
class SeatsView(CourseView):
    """The seats of a course."""

    def retrieve(self, request: Request, slug: str) -> Response:
        """Answer with what the serializer does not say."""
        course = self.get_serializer(self.get_object()).data
        return Response({**course, "seats": f"{course['seats']} seats"})


# --8<-- [end:wrong_answer]

urlpatterns = [
    path("courses/<slug:slug>/", CourseView.as_view()),
    path("days/<slug:slug>/", DaysView.as_view()),
    path("seats/<slug:slug>/", SeatsView.as_view()),
]
