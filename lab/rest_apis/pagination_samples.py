"""The catalog, cut into pages in three ways and in two wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from rest_framework import generics, serializers
from rest_framework.permissions import AllowAny

from lab.academy.models import Course
from lab.academy.visibility import visible_courses
from lab.rest_apis.pagination import (
    Newest,
    Offsets,
    Pages,
    Uncounted,
    WrongByStart,
    WrongOffsets,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet


class CourseLine(serializers.ModelSerializer):
    """A course in a word and a day."""

    class Meta:
        model = Course
        fields = ["slug", "starts_on"]


# --8<-- [start:catalog]
class Catalog(generics.ListAPIView):
    """The courses that one can know of, the newest first."""

    serializer_class = CourseLine
    permission_classes = [AllowAny]

    def get_queryset(self) -> QuerySet[Course]:
        """Return them in an order without ties."""
        return visible_courses(self.request.user).order_by("-pk")


urlpatterns = [
    path("numbers/", Catalog.as_view(pagination_class=Pages)),
    path("offsets/", Catalog.as_view(pagination_class=Offsets)),
    path("cursors/", Catalog.as_view(pagination_class=Newest)),
]
# --8<-- [end:catalog]

urlpatterns += [
    path("no-limit/", Catalog.as_view(pagination_class=WrongOffsets)),
    path("by-start/", Catalog.as_view(pagination_class=WrongByStart)),
    path("uncounted/", Catalog.as_view(pagination_class=Uncounted)),
]
