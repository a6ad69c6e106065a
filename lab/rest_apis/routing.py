"""Routers, extra actions, and a second version of the API beside the first."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from django.urls import include, path
from django.utils.http import http_date
from rest_framework import routers, serializers, versioning, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from lab.academy.models import Tag
from lab.rest_apis import views
from lab.rest_apis.serializers import CourseSerializer
from lab.rest_apis.view_samples import TagSerializer

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer


# --8<-- [start:actions]
class Actions(views.CourseViewSet):
    """Courses, with actions on one of them and on all of them."""

    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, slug: str) -> Response:
        """Take a course out of the catalog."""
        course = self.get_object()
        course.published = False
        course.save(update_fields=["published"])
        return Response(self.get_serializer(course).data)

    @action(detail=True, url_path="seats/free")
    def free_seats(self, request: Request, slug: str) -> Response:
        """Say how many seats are left."""
        course = self.get_object()
        return Response({"free": course.seats - course.enrollments.count()})

    @action(detail=False, permission_classes=[AllowAny])
    def levels(self, request: Request) -> Response:
        """Say which levels there are."""
        levels = self.get_queryset().order_by("level").values_list("level", flat=True)
        return Response(list(levels.distinct()))


# --8<-- [end:actions]


# --8<-- [start:wrong_action]
class WrongActions(views.CourseViewSet):
    """Courses; withdrawing one is for those who are signed in."""

    @action(detail=True, methods=["post"], permission_classes=[IsAuthenticated])
    def withdraw(self, request: Request, slug: str) -> Response:
        """Take a course out of the catalog."""
        course = self.get_object()
        course.published = False
        course.save(update_fields=["published"])
        return Response(self.get_serializer(course).data)


# --8<-- [end:wrong_action]


# --8<-- [start:wrong_lookup]
class WrongTags(viewsets.ReadOnlyModelViewSet):
    """The tags, by name."""

    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    lookup_field = "name"


# --8<-- [end:wrong_lookup]


# --8<-- [start:lookup]
class Tags(WrongTags):
    """The tags, by name, and a name may have a dot."""

    lookup_value_regex = "[^/]+"


# --8<-- [end:lookup]


# --8<-- [start:second]
class SecondCourseSerializer(CourseSerializer):
    """A course as version 2 shows it: ``seats`` is called ``capacity``."""

    capacity = serializers.IntegerField(source="seats", min_value=1, max_value=10_000)

    class Meta(CourseSerializer.Meta):
        fields = [
            "capacity" if name == "seats" else name
            for name in CourseSerializer.Meta.fields
        ]


class VersionedCourses(views.CourseViewSet):
    """The courses in both versions."""

    def get_serializer_class(self) -> type[BaseSerializer]:
        """Return the serializer of the version that was asked for."""
        if self.request.version == "v2":
            return SecondCourseSerializer
        return super().get_serializer_class()


# --8<-- [end:second]


# --8<-- [start:versions]
class Versions(versioning.NamespaceVersioning):
    """The versions that there are."""

    allowed_versions = ["v1", "v2"]


# --8<-- [end:versions]


# --8<-- [start:sunset]
DEPRECATED = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
SUNSET = datetime.datetime(2027, 7, 1, tzinfo=datetime.UTC)
GUIDE = "https://academy.example/api/v2-guide/"


class Courses(VersionedCourses):
    """The courses in both versions, the first of which is about to go."""

    versioning_class = Versions

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Tell the clients of version 1, errors included, that it ends."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if getattr(request, "version", None) == "v1":
            response["Deprecation"] = f"@{DEPRECATED.timestamp():.0f}"
            response["Sunset"] = http_date(SUNSET.timestamp())
            response["Link"] = f'<{GUIDE}>; rel="deprecation"; type="text/html"'
        return response


# --8<-- [end:sunset]


class Asked(APIView):
    """Says which version was asked for."""

    permission_classes = [AllowAny]

    def get(self, request: Request, **_: str) -> Response:
        """Answer with the version."""
        return Response({"version": request.version})


class InPath(versioning.URLPathVersioning):
    """``/path/v2/``: an argument of the route."""

    allowed_versions = ["v1", "v2"]


class InAccept(versioning.AcceptHeaderVersioning):
    """``Accept: application/json; version=v2``."""

    allowed_versions = ["v1", "v2"]
    default_version = "v1"


class InQuery(versioning.QueryParameterVersioning):
    """``?version=v2``."""

    allowed_versions = ["v1", "v2"]
    default_version = "v1"


# --8<-- [start:two_versions]
courses = routers.SimpleRouter()
courses.register("courses", Courses, basename="course")

urlpatterns: list[Any] = [
    path("api/v1/", include((courses.urls, "v1"))),
    path("api/v2/", include((courses.urls, "v2"))),
]
# --8<-- [end:two_versions]

urlpatterns += [
    path("api/v9/", include((courses.urls, "v9"))),
    path("in-path/<str:version>/", Asked.as_view(versioning_class=InPath)),
    path("in-accept/", Asked.as_view(versioning_class=InAccept)),
    path("in-query/", Asked.as_view(versioning_class=InQuery)),
]

simple = routers.SimpleRouter()
simple.register("courses", Actions, basename="course")

default = routers.DefaultRouter()
default.register("courses", Actions, basename="course")

wrong = routers.SimpleRouter()
wrong.register("courses", WrongActions, basename="wrong-course")
wrong.register("tags", WrongTags)

tags = routers.SimpleRouter()
tags.register("tags", Tags)

urlpatterns += [
    path("actions/", include((simple.urls, "actions"))),
    path("root/", include((default.urls, "root"))),
    path("wrong/", include((wrong.urls, "wrong"))),
    path("mended/", include((tags.urls, "mended"))),
]
