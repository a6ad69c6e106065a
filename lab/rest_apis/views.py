"""The resources of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Lesson
from lab.academy.visibility import visible_courses, visible_enrollments
from lab.rest_apis.errors import Conflict
from lab.rest_apis.filtering import CourseFilter, Filtering, Ordering, Search
from lab.rest_apis.permissions import (
    GradesOwnCourse,
    TeachesCourseOrReads,
    TeachesOrReads,
)
from lab.rest_apis.representations import ConditionalMixin
from lab.rest_apis.serializers import (
    CourseSerializer,
    EnrollmentSerializer,
    GradeSerializer,
    LessonSerializer,
)
from lab.rest_apis.validation import save_or_conflict

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request
    from rest_framework.serializers import BaseSerializer

    from lab.academy.models import Course, Enrollment, Learner


# --8<-- [start:located]
class Located(mixins.CreateModelMixin, viewsets.GenericViewSet):
    """Say where a new resource is: DRF does so for a field named ``url`` alone."""

    def get_success_headers(self, data: Any) -> dict[str, str]:
        """Return the headers of a 201: the path of the collection, and the name."""
        field = {"pk": "id"}.get(self.lookup_field, self.lookup_field)
        return {"Location": f"{self.request.path}{data[field]}/"}


# --8<-- [end:located]


# --8<-- [start:courses]
class CourseViewSet(Located, ConditionalMixin, viewsets.ModelViewSet):
    """The catalog of courses."""

    serializer_class = CourseSerializer
    permission_classes = [TeachesOrReads]
    lookup_field = "slug"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    filter_backends = [Filtering, Search, Ordering]
    filterset_class = CourseFilter
    search_fields = ["title", "description"]
    ordering_fields = ["title", "starts_on"]

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of."""
        return visible_courses(self.request.user).prefetch_related("tags")

    def perform_create(self, serializer: BaseSerializer) -> None:
        """Make whoever adds a course its teacher."""
        save_or_conflict(serializer, teacher=self.request.user)

    def perform_update(self, serializer: BaseSerializer) -> None:
        """Change the course."""
        save_or_conflict(serializer)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, slug: str) -> Response:
        """Let learners in."""
        course = self.get_object()
        course.published = True
        course.save(update_fields=["published"])
        return Response(self.get_serializer(course).data)


# --8<-- [end:courses]


# --8<-- [start:lessons]
class LessonViewSet(Located, viewsets.ModelViewSet):
    """The lessons of one course."""

    queryset = Lesson.objects.none()  # says what they are; get_queryset says which
    serializer_class = LessonSerializer
    permission_classes = [TeachesCourseOrReads]
    lookup_field = "position"

    @cached_property
    def course(self) -> Course:
        """The course that the URL names, if this user can know of it."""
        courses = visible_courses(self.request.user)
        return get_object_or_404(courses, slug=self.kwargs["course_slug"])

    def get_queryset(self) -> QuerySet[Lesson]:
        """Return the lessons of this course."""
        return self.course.lessons.all()

    def perform_create(self, serializer: BaseSerializer) -> None:
        """Add the lesson to this course."""
        self.save(serializer, course=self.course)

    def perform_update(self, serializer: BaseSerializer) -> None:
        """Change the lesson."""
        self.save(serializer)

    def save(self, serializer: BaseSerializer, **values: Any) -> None:
        """Save a lesson; the database knows whether its position is free."""
        try:
            with transaction.atomic():
                serializer.save(**values)
        except IntegrityError as error:
            raise Conflict("There is a lesson at this position.") from error


# --8<-- [end:lessons]


# --8<-- [start:enrollments]
class EnrollmentViewSet(
    Located,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """A learner's own enrollments, and those in the courses that one teaches."""

    permission_classes = [IsAuthenticated, GradesOwnCourse]
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def get_serializer_class(self) -> type[BaseSerializer]:
        """Return what this action reads and writes."""
        if self.action == "partial_update":
            return GradeSerializer
        return EnrollmentSerializer

    def get_queryset(self) -> QuerySet[Enrollment]:
        """Return what this user can know of."""
        enrollments = visible_enrollments(self.request.user)
        return enrollments.select_related("learner", "course")

    def perform_create(self, serializer: BaseSerializer) -> None:
        """Take a seat for the learner who asks."""
        learner: Learner | None = getattr(self.request.user, "learner", None)
        if learner is None:
            raise PermissionDenied("Only learners enroll.")
        try:
            serializer.instance = enroll(learner, serializer.validated_data["course"])
        except CannotEnroll as reason:
            raise Conflict(str(reason)) from reason


# --8<-- [end:enrollments]
