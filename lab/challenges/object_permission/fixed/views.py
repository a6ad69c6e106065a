"""Enrollments over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404
from rest_framework import mixins, routers, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.response import Response

from lab.academy.models import Certificate, Enrollment
from lab.academy.visibility import visible_enrollments

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request


class EnrollmentSerializer(serializers.ModelSerializer):
    """An enrollment, of which only the grade can be changed."""

    class Meta:
        model = Enrollment
        fields = ["id", "learner", "course", "enrolled_on", "grade"]
        read_only_fields = ["learner", "course", "enrolled_on"]


# --8<-- [start:views]
class LearnerOrTeacher(BasePermission):
    """The learner reads and leaves; the teacher of the course reads and grades."""

    def has_object_permission(
        self, request: Request, view: Any, obj: Enrollment
    ) -> bool:
        """Return whether this user may do this with this enrollment."""
        if request.method in SAFE_METHODS:
            return True  # the queryset holds what the user may read
        if request.method == "DELETE":
            return obj.learner.user_id == request.user.pk
        return obj.course.teacher_id == request.user.pk


class EnrollmentViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Who takes which course, with which grade."""

    serializer_class = EnrollmentSerializer
    permission_classes = [IsAuthenticated, LearnerOrTeacher]

    def get_queryset(self) -> QuerySet[Enrollment]:
        """Return the rows that this user can know of."""
        return visible_enrollments(self.request.user)

    @action(detail=True)
    def certificate(self, request: Request, pk: str) -> Response:
        """Return the number of the certificate that the enrollment earned."""
        certificate = get_object_or_404(Certificate, enrollment=self.get_object())
        return Response({"number": certificate.number})


# --8<-- [end:views]

router = routers.SimpleRouter()
router.register("enrollments", EnrollmentViewSet, basename="enrollment")
urlpatterns = router.urls
