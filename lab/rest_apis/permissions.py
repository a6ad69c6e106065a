"""Who may do what through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import SAFE_METHODS, BasePermission

if TYPE_CHECKING:
    from rest_framework.request import Request

    from lab.academy.models import Course, Enrollment


# --8<-- [start:courses]
class TeachesOrReads(BasePermission):
    """Everybody reads courses; teachers add them; each changes their own."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request may go on to the view."""
        if request.method in SAFE_METHODS:
            return True
        if request.method == "POST" and view.detail is False:
            return request.user.has_perm("academy.add_course")
        return bool(request.user.is_authenticated)

    def has_object_permission(self, request: Request, view: Any, obj: Course) -> bool:
        """Return whether the request may touch this course."""
        return request.method in SAFE_METHODS or obj.teacher_id == request.user.pk


# --8<-- [end:courses]


# --8<-- [start:lessons]
class TeachesCourseOrReads(BasePermission):
    """Everybody who can know of a course reads its lessons; its teacher changes them."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request may go on to the view."""
        return request.method in SAFE_METHODS or (
            view.course.teacher_id is not None
            and view.course.teacher_id == request.user.pk
        )


# --8<-- [end:lessons]


# --8<-- [start:enrollments]
class GradesOwnCourse(BasePermission):
    """The learner reads and leaves; the teacher of the course reads and grades."""

    def has_object_permission(
        self, request: Request, view: Any, obj: Enrollment
    ) -> bool:
        """Return whether the request may touch this enrollment."""
        if request.method in SAFE_METHODS:
            return True
        if request.method == "DELETE":
            return obj.learner.user_id == request.user.pk
        return obj.course.teacher_id == request.user.pk


# --8<-- [end:enrollments]
