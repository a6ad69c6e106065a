"""The catalog for clients who choose too freely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import generics
from rest_framework.filters import OrderingFilter
from rest_framework.permissions import AllowAny

from lab.academy.visibility import visible_courses
from lab.rest_apis.filtering import WrongTags
from lab.rest_apis.serializers import CourseSerializer

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from lab.academy.models import Course


class Catalog(generics.ListAPIView):
    """The courses, as their titles go."""

    serializer_class = CourseSerializer
    permission_classes = [AllowAny]
    throttle_classes = []

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of."""
        return visible_courses(self.request.user).prefetch_related("tags")


# --8<-- [start:wrong_query]
class WrongQuery(Catalog):
    """Filters by whatever the query names."""

    def get_queryset(self) -> QuerySet[Course]:
        """Return the courses that match."""
        return super().get_queryset().filter(**self.request.query_params.dict())


# --8<-- [end:wrong_query]


# --8<-- [start:wrong_order]
class WrongOrder(Catalog):
    """Orders by whatever the query names."""

    def get_queryset(self) -> QuerySet[Course]:
        """Return the courses in that order."""
        return super().get_queryset().order_by(self.request.query_params["ordering"])


# --8<-- [end:wrong_order]


class ByDefault(Catalog):
    """Names no fields."""

    filter_backends = [OrderingFilter]


class ByAll(Catalog):
    """Names them all."""

    filter_backends = [OrderingFilter]
    ordering_fields = "__all__"


class Lenient(Catalog):
    """Filters as django-filter does by default."""

    filter_backends = [DjangoFilterBackend]
    filterset_fields = ["level", "published"]


class ByTags(Catalog):
    """Filters by tags, and repeats rows."""

    filter_backends = [DjangoFilterBackend]
    filterset_class = WrongTags


urlpatterns = [
    path("query/", WrongQuery.as_view()),
    path("order/", WrongOrder.as_view()),
    path("default/", ByDefault.as_view()),
    path("all/", ByAll.as_view()),
    path("lenient/", Lenient.as_view()),
    path("tags/", ByTags.as_view()),
]
