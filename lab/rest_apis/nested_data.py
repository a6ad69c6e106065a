"""A course with its lessons inside: read in few queries, written in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.urls import include, path
from rest_framework import routers, serializers

from lab.academy.models import Course, Lesson
from lab.academy.visibility import visible_courses
from lab.rest_apis.serializers import CourseSerializer, LessonSerializer
from lab.rest_apis.views import CourseViewSet, LessonViewSet

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:read]
class SyllabusSerializer(CourseSerializer):
    """A course with its lessons, for reading."""

    lessons = LessonSerializer(many=True, read_only=True)

    class Meta(CourseSerializer.Meta):
        fields = [*CourseSerializer.Meta.fields, "lessons"]


# --8<-- [end:read]


# --8<-- [start:wrong_queries]
class SlowSyllabusViewSet(CourseViewSet):
    """Courses with their lessons."""

    serializer_class = SyllabusSerializer

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of."""
        return visible_courses(self.request.user)


# --8<-- [end:wrong_queries]


# --8<-- [start:queries]
class SyllabusViewSet(CourseViewSet):
    """Courses with their lessons."""

    serializer_class = SyllabusSerializer

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of, with all that the serializer reads."""
        courses = visible_courses(self.request.user)
        return courses.prefetch_related("tags", "lessons")


# --8<-- [end:queries]


# --8<-- [start:wrong_depth]
class DeepCourseSerializer(serializers.ModelSerializer):
    """A course and what it is related to, one step deep."""

    class Meta:
        model = Course
        fields = ["slug", "teacher", "tags"]
        depth = 1


# --8<-- [end:wrong_depth]


# --8<-- [start:links]
class LinkingCourseSerializer(CourseSerializer):
    """A course that says where its lessons are."""

    lessons = serializers.HyperlinkedIdentityField(
        view_name="lesson-list", lookup_field="slug", lookup_url_kwarg="course_slug"
    )

    class Meta(CourseSerializer.Meta):
        fields = [*CourseSerializer.Meta.fields, "lessons"]


# --8<-- [end:links]


# --8<-- [start:wrong_write]
class NaiveOutlineSerializer(CourseSerializer):
    """A course with its lessons, for writing too."""

    lessons = LessonSerializer(many=True)

    class Meta(CourseSerializer.Meta):
        fields = [*CourseSerializer.Meta.fields, "lessons"]


# --8<-- [end:wrong_write]


# --8<-- [start:whole_lesson]
class WholeLessonSerializer(LessonSerializer):
    """A lesson that is complete, in a PATCH of its course too."""

    def to_internal_value(self, data: Any) -> Any:
        """Ask for the required fields, which DRF does not do in a PATCH."""
        values = super().to_internal_value(data)
        missing = {
            name: [field.error_messages["required"]]
            for name, field in self.fields.items()
            if field.required and name not in values
        }
        if missing:
            raise serializers.ValidationError(missing, code="required")
        return values


# --8<-- [end:whole_lesson]


# --8<-- [start:write]
class OutlineSerializer(CourseSerializer):
    """A course with its lessons, read and written as one."""

    lessons: serializers.Field = serializers.ListSerializer(
        child=WholeLessonSerializer(), max_length=50
    )

    class Meta(CourseSerializer.Meta):
        fields = [*CourseSerializer.Meta.fields, "lessons"]

    def validate_lessons(self, lessons: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Refuse two lessons at one position: only the whole list shows them."""
        positions = [lesson["position"] for lesson in lessons]
        if len(set(positions)) < len(positions):
            raise serializers.ValidationError(
                "Two lessons have the same position.", code="unique"
            )
        return lessons

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> Course:
        """Store the course and all of its lessons, or nothing."""
        lessons = validated_data.pop("lessons")
        course: Course = super().create(validated_data)
        self.write(course, lessons)
        return course

    @transaction.atomic
    def update(self, instance: Course, validated_data: dict[str, Any]) -> Course:
        """Change the course; the lessons that came replace those that were."""
        lessons = validated_data.pop("lessons", None)
        course: Course = super().update(instance, validated_data)
        if lessons is not None:  # a PATCH may leave them out
            course.lessons.all().delete()
            self.write(course, lessons)
        return course

    def write(self, course: Course, lessons: list[dict[str, Any]]) -> None:
        """Store the lessons of a course."""
        Lesson.objects.bulk_create(
            Lesson(course=course, **values) for values in lessons
        )


# --8<-- [end:write]


# --8<-- [start:bulk]
class LessonList(serializers.ListSerializer):
    """Many lessons of one course, stored by one INSERT."""

    def create(self, validated_data: list[dict[str, Any]]) -> list[Lesson]:
        """Store all of them, or none."""
        return Lesson.objects.bulk_create(Lesson(**values) for values in validated_data)


class BulkLessonSerializer(LessonSerializer):
    """A lesson, or with ``many=True`` a list of at most fifty."""

    class Meta(LessonSerializer.Meta):
        list_serializer_class = LessonList


class BulkLessonViewSet(LessonViewSet):
    """The lessons of one course; a POST takes one lesson or a list of them."""

    serializer_class = BulkLessonSerializer

    def get_serializer(self, *args: Any, **kwargs: Any) -> serializers.BaseSerializer:
        """Expect many where a list came."""
        if isinstance(kwargs.get("data"), list):
            kwargs |= {"many": True, "max_length": 50, "allow_empty": False}
        return super().get_serializer(*args, **kwargs)

    def get_success_headers(self, data: Any) -> dict[str, str]:
        """Name the place of what was made, if it is one."""
        return {} if isinstance(data, list) else super().get_success_headers(data)


# --8<-- [end:bulk]


class OutlineViewSet(CourseViewSet):
    """Courses that are written together with their lessons."""

    serializer_class = OutlineSerializer

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of, with all that the serializer reads."""
        return super().get_queryset().prefetch_related("lessons")


router = routers.SimpleRouter()
router.register("slow", SlowSyllabusViewSet, basename="slow")
router.register("syllabi", SyllabusViewSet, basename="syllabus")
router.register("outlines", OutlineViewSet, basename="outline")
lessons = routers.SimpleRouter()
lessons.register("bulk", BulkLessonViewSet, basename="bulk")

urlpatterns = [
    path("api/v1/", include("lab.rest_apis.urls")),
    path("", include(router.urls)),
    path("courses/<slug:course_slug>/", include(lessons.urls)),
]
