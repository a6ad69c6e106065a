"""The tags of the academy, as one resource written in several ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404
from django.urls import URLResolver, include, path
from django.utils import timezone
from rest_framework import generics, mixins, routers, serializers, status, viewsets
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from lab.academy.models import Course, Tag
from lab.academy.visibility import visible_courses
from lab.rest_apis.pagination import Pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import QuerySet
    from django.urls import URLPattern
    from rest_framework.request import Request


class TagSerializer(serializers.ModelSerializer):
    """A word that courses can be found by."""

    class Meta:
        model = Tag
        fields = ["name"]


# --8<-- [start:by_hand]
class TagList(APIView):
    """All tags, and the way to add one."""

    def get(self, request: Request) -> Response:
        """Return a page of tags."""
        pages = Pages()
        tags = pages.paginate_queryset(Tag.objects.all(), request, view=self)
        return pages.get_paginated_response(TagSerializer(tags, many=True).data)

    def post(self, request: Request) -> Response:
        """Add a tag."""
        serializer = TagSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data, status=status.HTTP_201_CREATED)


class TagDetail(APIView):
    """One tag."""

    def get(self, request: Request, name: str) -> Response:
        """Return the tag."""
        tag = get_object_or_404(Tag, name=name)
        self.check_object_permissions(request, tag)
        return Response(TagSerializer(tag).data)


# --8<-- [end:by_hand]


# --8<-- [start:generic]
class GenericTagList(generics.ListCreateAPIView):
    """All tags, and the way to add one."""

    queryset = Tag.objects.all()
    serializer_class = TagSerializer


class GenericTagDetail(generics.RetrieveAPIView):
    """One tag."""

    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    lookup_field = "name"


# --8<-- [end:generic]


# --8<-- [start:view_set]
class TagViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    viewsets.GenericViewSet,
):
    """The tags."""

    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    lookup_field = "name"


# --8<-- [end:view_set]


# --8<-- [start:wrong_view_set]
class EveryTagViewSet(viewsets.ModelViewSet):
    """The tags."""

    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    lookup_field = "name"


# --8<-- [end:wrong_view_set]


class CourseSerializer(serializers.ModelSerializer):
    """As much of a course as a list of dates needs."""

    class Meta:
        model = Course
        fields = ["slug", "starts_on"]


# --8<-- [start:wrong_upcoming]
class WrongUpcoming(generics.ListAPIView):
    """The courses that have not begun."""

    queryset = Course.objects.filter(published=True, starts_on__gt=timezone.localdate())
    serializer_class = CourseSerializer


# --8<-- [end:wrong_upcoming]


# --8<-- [start:upcoming]
class Upcoming(generics.ListAPIView):
    """The courses that have not begun."""

    serializer_class = CourseSerializer

    def get_queryset(self) -> QuerySet[Course]:
        """Return those that this user can know of."""
        courses = visible_courses(self.request.user)
        return courses.filter(starts_on__gt=timezone.localdate())


# --8<-- [end:upcoming]


# --8<-- [start:function]
@api_view(["GET"])
@permission_classes([AllowAny])
def free_seats(request: Request, slug: str) -> Response:
    """Say how many seats of a course are left."""
    course = get_object_or_404(visible_courses(request.user), slug=slug)
    return Response({"free": course.seats - course.enrollments.count()})


# --8<-- [end:function]


# --8<-- [start:wrong_async]
class AsyncTagList(APIView):
    """All tags."""

    async def get(self, request: Request) -> Response:
        """Return their names."""
        return Response([tag.name async for tag in Tag.objects.all()])


# --8<-- [end:wrong_async]


# --8<-- [start:doors]
def doors(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[str]:
    """Yield each route that a router made, with the methods that it answers."""
    for pattern in patterns:
        view: Any = pattern.callback
        methods = view.cls.http_method_names
        yield str(pattern.pattern)
        for method, action in view.actions.items():
            closed = "" if method in methods else "  (405: not in http_method_names)"
            if method != "head":  # comes with "get", on the first request
                yield f"    {method.upper():7}{action}{closed}"


# --8<-- [end:doors]

# --8<-- [start:routes]
router = routers.SimpleRouter()
router.register("tags", TagViewSet)

by_hand = [
    path("tags/", TagList.as_view()),
    path("tags/<str:name>/", TagDetail.as_view()),
]
generic = [
    path("tags/", GenericTagList.as_view()),
    path("tags/<str:name>/", GenericTagDetail.as_view()),
]
# --8<-- [end:routes]

every = routers.SimpleRouter()
every.register("tags", EveryTagViewSet)

urlpatterns = [
    path("by-hand/", include(by_hand)),
    path("generic/", include(generic)),
    path("view-set/", include(router.urls)),
    path("every/", include(every.urls)),
    path("async/tags/", AsyncTagList.as_view()),
    path("upcoming/", Upcoming.as_view()),
    path("wrong-upcoming/", WrongUpcoming.as_view()),
    path("courses/<slug:slug>/free-seats/", free_seats),
]
