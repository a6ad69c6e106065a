"""What each method promises, and what it takes to keep the promise."""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.db import transaction
from django.db.models import Max
from django.urls import include, path
from rest_framework import exceptions, serializers
from rest_framework.permissions import BasePermission
from rest_framework.response import Response

from lab.academy.models import Course
from lab.rest_apis.permissions import TeachesOrReads
from lab.rest_apis.serializers import CourseSerializer, LessonSerializer
from lab.rest_apis.views import CourseViewSet, LessonViewSet

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer


# --8<-- [start:whole]
class WholeCourseSerializer(CourseSerializer):
    """A course of which nothing that can be written may be left out."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the fields; a PATCH still takes some of them."""
        fields: dict[str, serializers.Field] = super().get_fields()
        for field in fields.values():
            field.required = not field.read_only
        return fields


class WholeCourseViewSet(CourseViewSet):
    """The catalog; PUT replaces a course."""

    serializer_class = WholeCourseSerializer


# --8<-- [end:whole]


# --8<-- [start:more_seats]
class MoreSeatsSerializer(serializers.Serializer):
    """A patch document: by how many the seats grow."""

    more = serializers.IntegerField(min_value=1, max_value=100)


class SeatsViewSet(CourseViewSet):
    """The seats of a course; PATCH adds some."""

    @transaction.atomic
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add seats, if the course is as the client has seen it."""
        patch = MoreSeatsSerializer(data=request.data)
        patch.is_valid(raise_exception=True)
        course = self.get_object()
        course.seats += patch.validated_data["more"]
        course.save(update_fields=["seats"])
        return Response(self.get_serializer(course).data)


# --8<-- [end:more_seats]


# --8<-- [start:wrong_append]
class NewLessonSerializer(LessonSerializer):
    """A lesson whose position the server chooses."""

    class Meta(LessonSerializer.Meta):
        read_only_fields = ["position"]


class AppendViewSet(LessonViewSet):
    """Lessons that are added at the end of a course."""

    serializer_class = NewLessonSerializer

    def perform_create(self, serializer: BaseSerializer) -> None:
        """Give the lesson the next position."""
        last = self.course.lessons.aggregate(last=Max("position"))["last"] or 0
        self.save(serializer, course=self.course, position=last + 1)

    def get_success_headers(self, data: Any) -> dict[str, str]:
        """Say where the new lesson is."""
        return {"Location": f"{self.request.path}{data['position']}/"}


# --8<-- [end:wrong_append]


# --8<-- [start:key]
class KeyReused(exceptions.APIException):
    """The key came with another request before."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key came with another body before."
    default_code = "key_reused"


class AppendOnceViewSet(AppendViewSet):
    """The same; a POST that comes again is answered again, and done once."""

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Add the lesson, or repeat the answer to the request with this key."""
        key = request.headers.get("Idempotency-Key", "")
        if not 8 <= len(key) <= 100:
            raise exceptions.ParseError("Send an Idempotency-Key.")
        answers = caches["answers"]
        place = digest(f"{request.user.pk} {request.path} {key}".encode())
        body = digest(request.body)
        # A second request with this key waits here until the first is done.
        if answers.add(place, {"body": body}):
            response = super().create(request, *args, **kwargs)
            answer = {"data": dict(response.data), "location": response["Location"]}
            answers.set(place, {"body": body, **answer})
            return response
        known = answers.get(place)
        if known["body"] != body:
            raise KeyReused
        headers = {"Location": known["location"]}
        return Response(known["data"], HTTPStatus.CREATED, headers=headers)


def digest(text: bytes) -> str:
    """Return a short name for a text, the same for the same text."""
    return sha256(text).hexdigest()


# --8<-- [end:key]

# --8<-- [start:answers]
ANSWERS = {
    "BACKEND": "django.core.cache.backends.db.DatabaseCache",
    "LOCATION": "rest_apis_answers",
    "TIMEOUT": 24 * 60 * 60,
    "OPTIONS": {"MAX_ENTRIES": 100_000},
}
# --8<-- [end:answers]


# --8<-- [start:query]
class CourseQuerySerializer(serializers.Serializer):
    """What a QUERY may ask for."""

    levels = serializers.MultipleChoiceField(choices=Course.Level.choices)
    starts_after = serializers.DateField()


class Asks(BasePermission):
    """QUERY is safe; DRF's list of safe methods does not have it."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request is a QUERY."""
        return request.method == "QUERY"


class SearchableCourseViewSet(CourseViewSet):
    """The catalog; QUERY searches it."""

    http_method_names = [*CourseViewSet.http_method_names, "query"]
    permission_classes = [Asks | TeachesOrReads]

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Say in every answer which kind of query this resource takes."""
        return {**super().default_response_headers, "Accept-Query": "application/json"}

    def search(self, request: Request) -> Response:
        """Answer with the courses that fit."""
        query = CourseQuerySerializer(data=request.data)
        query.is_valid(raise_exception=True)
        courses = self.get_queryset().filter(
            level__in=query.validated_data["levels"],
            starts_on__gt=query.validated_data["starts_after"],
        )
        return Response(self.get_serializer(courses[:100], many=True).data)


courses = SearchableCourseViewSet.as_view({"get": "list", "query": "search"})
# --8<-- [end:query]

course: dict[str, Any] = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
}
lessons: dict[str, Any] = {"get": "list", "post": "create"}
urlpatterns = [
    path("search/", courses),
    path("whole/<slug:slug>/", WholeCourseViewSet.as_view(course)),
    path("seats/<slug:slug>/", SeatsViewSet.as_view(course)),
    path("append/<slug:course_slug>/", AppendViewSet.as_view(lessons)),
    path("once/<slug:course_slug>/", AppendOnceViewSet.as_view(lessons)),
    path("", include("lab.urls")),
]
