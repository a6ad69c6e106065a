"""Views that forget to ask for a permission, and the same views with the question in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.shortcuts import get_object_or_404
from django.urls import path
from rest_framework import generics, serializers
from rest_framework.permissions import (
    BasePermission,
    DjangoModelPermissions,
    IsAdminUser,
    IsAuthenticated,
)
from rest_framework.response import Response
from rest_framework.views import APIView

from lab.academy.models import Course, Enrollment
from lab.academy.visibility import visible_courses, visible_enrollments
from lab.rest_apis.serializers import EnrollmentSerializer

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request


# --8<-- [start:own]
class IsOwn(BasePermission):
    """The learner of an enrollment, and nobody else."""

    def has_object_permission(
        self, request: Request, view: Any, obj: Enrollment
    ) -> bool:
        """Return whether this is the user's own enrollment."""
        return obj.learner.user == request.user


# --8<-- [end:own]


# --8<-- [start:wrong_list]
class WrongListView(generics.ListAPIView):
    """Trust that each row is checked."""

    queryset = Enrollment.objects.all()
    serializer_class = EnrollmentSerializer
    permission_classes = [IsAuthenticated, IsOwn]


# --8<-- [end:wrong_list]


# --8<-- [start:wrong_grade]
class WrongGradeView(APIView):
    """Fetch the row by hand, and never ask about it."""

    permission_classes = [IsAuthenticated, IsOwn]

    def get(self, request: Request, pk: int) -> Response:
        """Return the grade."""
        enrollment = get_object_or_404(Enrollment, pk=pk)
        return Response({"grade": enrollment.grade})


# --8<-- [end:wrong_grade]


# --8<-- [start:asked_grade]
class AskedGradeView(APIView):
    """Fetch the row by hand, and ask."""

    permission_classes = [IsAuthenticated, IsOwn]

    def get(self, request: Request, pk: int) -> Response:
        """Return the grade to whom it belongs."""
        enrollment = get_object_or_404(Enrollment, pk=pk)
        self.check_object_permissions(request, enrollment)
        return Response({"grade": enrollment.grade})


# --8<-- [end:asked_grade]


# --8<-- [start:grade]
class GradeView(APIView):
    """Look for the row among those that this user can know of."""

    def get(self, request: Request, pk: int) -> Response:
        """Return the grade, if there is one for this user."""
        enrollment = get_object_or_404(visible_enrollments(request.user), pk=pk)
        return Response({"grade": enrollment.grade})


# --8<-- [end:grade]


# --8<-- [start:model]
class OpenGradebookView(generics.ListAPIView):
    """All enrollments, with DRF's permissions for a model."""

    queryset = Enrollment.objects.select_related("learner", "course")
    serializer_class = EnrollmentSerializer
    permission_classes = [DjangoModelPermissions]


class ModelPermissions(DjangoModelPermissions):
    """Ask for the permission to view, too."""

    perms_map = {
        **DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
    }


class GradebookView(OpenGradebookView):
    """All enrollments, for those who may view enrollments."""

    permission_classes = [ModelPermissions]


# --8<-- [end:model]


# --8<-- [start:composed]
class MayView(BasePermission):
    """Somebody whose job it is."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the user may view any enrollment."""
        return request.user.has_perm("academy.view_enrollment")


class ComposedView(generics.RetrieveAPIView):
    """One enrollment, for its learner and for whose job it is."""

    queryset = Enrollment.objects.all()
    serializer_class = EnrollmentSerializer
    permission_classes = [IsAuthenticated & (MayView | IsOwn)]


# --8<-- [end:composed]


# --8<-- [start:wrong_not]
class WrongNotView(generics.RetrieveAPIView):
    """One enrollment, for everybody but staff."""

    queryset = Enrollment.objects.all()
    serializer_class = EnrollmentSerializer
    permission_classes = [IsAuthenticated & ~IsAdminUser]


# --8<-- [end:wrong_not]


# --8<-- [start:fields]
class CourseSerializer(serializers.ModelSerializer):
    """A course; how many are in it is for its teacher."""

    taken = serializers.IntegerField(source="enrollments.count", read_only=True)

    class Meta:
        model = Course
        fields = ["slug", "teacher", "taken"]

    def to_representation(self, instance: Course) -> dict[str, Any]:
        """Leave out what this user is not told."""
        data = super().to_representation(instance)
        if instance.teacher != self.context["request"].user:
            del data["taken"]
        return data


# --8<-- [end:fields]


# --8<-- [start:wrong_fields]
class WrongCourseSerializer(CourseSerializer):
    """Compare keys."""

    def to_representation(self, instance: Course) -> dict[str, Any]:
        """Leave the number out for all but the teacher, one thinks."""
        data = serializers.ModelSerializer.to_representation(self, instance)
        if instance.teacher_id != self.context["request"].user.pk:
            del data["taken"]
        return data


# --8<-- [end:wrong_fields]


class CoursesView(generics.ListAPIView):
    """The courses, with the number for their teacher."""

    serializer_class: type[CourseSerializer] = CourseSerializer
    permission_classes = []

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of."""
        return visible_courses(self.request.user)


class WrongCoursesView(CoursesView):
    """The courses, with the number for more people."""

    serializer_class = WrongCourseSerializer


urlpatterns = [
    path("wrong-list/", WrongListView.as_view()),
    path("wrong-grade/<int:pk>/", WrongGradeView.as_view()),
    path("asked-grade/<int:pk>/", AskedGradeView.as_view()),
    path("grade/<int:pk>/", GradeView.as_view()),
    path("open-gradebook/", OpenGradebookView.as_view()),
    path("gradebook/", GradebookView.as_view()),
    path("composed/<int:pk>/", ComposedView.as_view()),
    path("wrong-not/<int:pk>/", WrongNotView.as_view()),
    path("courses/", CoursesView.as_view()),
    path("wrong-courses/", WrongCoursesView.as_view()),
]
