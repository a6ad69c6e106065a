"""Enrollments over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404
from rest_framework import mixins, routers, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response

from lab.academy.models import Certificate, Course, Enrollment

if TYPE_CHECKING:
    from rest_framework.request import Request


class EnrollmentSerializer(serializers.ModelSerializer):
    """An enrollment, of which only the grade can be changed."""

    class Meta:
        model = Enrollment
        fields = ["id", "learner", "course", "enrolled_on", "grade"]
        read_only_fields = ["learner", "course", "enrolled_on"]


# --8<-- [start:wrong_views]
class LearnerOrTeacher(BasePermission):
    """The learner reads and leaves; the teacher of the course reads and grades."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether this is a learner or a teacher."""
        taught = Course.objects.filter(teacher=request.user.pk)
        return hasattr(request.user, "learner") or taught.exists()


class EnrollmentViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Who takes which course, with which grade."""

    queryset = Enrollment.objects.all()
    serializer_class = EnrollmentSerializer
    permission_classes = [IsAuthenticated, LearnerOrTeacher]

    @action(detail=True)
    def certificate(self, request: Request, pk: str) -> Response:
        """Return the number of the certificate that the enrollment earned."""
        certificate = get_object_or_404(Certificate, enrollment=pk)
        return Response({"number": certificate.number})


# --8<-- [end:wrong_views]

router = routers.SimpleRouter()
router.register("enrollments", EnrollmentViewSet)
urlpatterns = router.urls
