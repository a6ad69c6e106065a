"""The first repair that comes to mind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import routers
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated

from lab.challenges.object_permission.broken import views as broken

if TYPE_CHECKING:
    from rest_framework.request import Request

    from lab.academy.models import Enrollment


# --8<-- [start:wrong_half]
class LearnerOrTeacher(BasePermission):
    """The learner reads and leaves; the teacher of the course reads and grades."""

    def has_object_permission(
        self, request: Request, view: Any, obj: Enrollment
    ) -> bool:
        """Return whether this user may do this with this enrollment."""
        learns = obj.learner.user_id == request.user.pk
        teaches = obj.course.teacher_id == request.user.pk
        if request.method in SAFE_METHODS:
            return learns or teaches
        return learns if request.method == "DELETE" else teaches


class EnrollmentViewSet(broken.EnrollmentViewSet):
    """The same doors, and a question about the row."""

    permission_classes = [IsAuthenticated, LearnerOrTeacher]


# --8<-- [end:wrong_half]

router = routers.SimpleRouter()
router.register("enrollments", EnrollmentViewSet)
urlpatterns = router.urls
