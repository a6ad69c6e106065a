"""Views to try tests on: some are wrong, and a test has to notice."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from django.urls import path
from rest_framework import generics
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from lab.academy.models import Course, Enrollment
from lab.academy.visibility import visible_courses, visible_enrollments
from lab.rest_apis.serializers import CourseSerializer, EnrollmentSerializer

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request


class Catalog(generics.ListAPIView):
    """What this user can know of."""

    serializer_class = CourseSerializer
    permission_classes = [AllowAny]

    def get_queryset(self) -> QuerySet[Course]:
        """Return the visible courses."""
        return visible_courses(self.request.user).prefetch_related("tags")


# --8<-- [start:wrong_catalog]
class LeakingCatalog(Catalog):
    """Drafts too: somebody has changed the queryset."""

    def get_queryset(self) -> QuerySet[Course]:
        """Return every course there is."""
        return Course.objects.prefetch_related("tags")


# --8<-- [end:wrong_catalog]


# --8<-- [start:wrong_queries]
class ChattyCatalog(Catalog):
    """Somebody has dropped ``prefetch_related``."""

    def get_queryset(self) -> QuerySet[Course]:
        """Return the visible courses."""
        return visible_courses(self.request.user)


# --8<-- [end:wrong_queries]


# --8<-- [start:wrong_authentication]
class NobodyComesIn(generics.ListAPIView):
    """One's own enrollments, for whoever has signed in: nobody can."""

    authentication_classes = []
    permission_classes = [IsAuthenticated]
    serializer_class = EnrollmentSerializer

    def get_queryset(self) -> QuerySet[Enrollment]:
        """Return what this user can know of."""
        return visible_enrollments(self.request.user)


# --8<-- [end:wrong_authentication]


# --8<-- [start:facts]
class FactsView(APIView):
    """Values that no serializer has seen."""

    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        """Return an amount and a day."""
        course = Course.objects.get(slug="python")
        return Response({"fee": Decimal("49.90"), "starts_on": course.starts_on})


# --8<-- [end:facts]


class BrokenView(APIView):
    """A bug."""

    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        """Divide by nothing."""
        return Response(1 // 0)


urlpatterns = [
    path("catalog/", Catalog.as_view()),
    path("leaking/", LeakingCatalog.as_view()),
    path("chatty/", ChattyCatalog.as_view()),
    path("mine/", NobodyComesIn.as_view()),
    path("facts/", FactsView.as_view()),
    path("broken/", BrokenView.as_view()),
]
handler500 = "lab.rest_apis.errors.failed"
