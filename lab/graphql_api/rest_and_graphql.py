"""One screen of data, "my courses", fetched in three ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Prefetch
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page
from rest_framework import generics, serializers

from lab.academy.models import Course, Enrollment, Lesson
from lab.academy.visibility import visible_courses, visible_enrollments

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

    Get = Callable[[str], Any]
    Screen = list[dict[str, Any] | None]


# --8<-- [start:by_resource]
def by_resource(get: Get) -> Screen:
    """Return the screen from the resources: enrollments, courses, lessons."""
    screen: Screen = []
    for enrollment in get("/api/v1/enrollments/")["results"]:
        url = f"/api/v1/courses/{enrollment['course']}/"
        course = get(url)
        if course is None:  # 404: it has become a draft
            screen.append(None)
            continue
        lessons = get(f"{url}lessons/")["results"]
        screen.append(
            {
                "title": course["title"],
                "days": [course["starts_on"], course["ends_on"]],
                "tags": course["tags"],
                "lessons": [[each["title"], each["minutes"]] for each in lessons],
            }
        )
    return screen


# --8<-- [end:by_resource]


# --8<-- [start:by_screen]
def by_screen(get: Get) -> Screen:
    """Return the screen from the endpoint that was made for it."""
    return [
        {
            "title": course["title"],
            "days": [course["starts_on"], course["ends_on"]],
            "tags": course["tags"],
            "lessons": [[each["title"], each["minutes"]] for each in course["lessons"]],
        }
        if course
        else None
        for course in (
            line["course"] for line in get("/screens/my-courses/")["results"]
        )
    ]


# --8<-- [end:by_screen]


# --8<-- [start:by_query]
def by_query(data: dict[str, Any]) -> Screen:
    """Return the screen from the answer to the query MyCourses."""
    return [
        {
            "title": course["title"],
            "days": [course["startsOn"], course["endsOn"]],
            "tags": [tag["name"] for tag in course["tags"]],
            "lessons": [[each["title"], each["minutes"]] for each in course["lessons"]],
        }
        if course
        else None
        for course in (edge["node"]["course"] for edge in data["enrollments"]["edges"])
    ]


# --8<-- [end:by_query]


# --8<-- [start:endpoint]
class ScreenLesson(serializers.ModelSerializer):
    """A lesson, as far as the screen shows it."""

    class Meta:
        model = Lesson
        fields = ["title", "minutes"]


class ScreenCourse(serializers.ModelSerializer):
    """A course, as far as the screen shows it."""

    tags: serializers.Field = serializers.StringRelatedField(many=True)
    lessons = ScreenLesson(many=True)

    class Meta:
        model = Course
        fields = ["title", "starts_on", "ends_on", "tags", "lessons"]


class ScreenEnrollment(serializers.ModelSerializer):
    """A line of the screen; null if the learner cannot know of the course."""

    course = ScreenCourse(allow_null=True)

    class Meta:
        model = Enrollment
        fields = ["course"]


@method_decorator(
    [conditional_page, cache_control(private=True, no_cache=True)], name="dispatch"
)
class MyCourses(generics.ListAPIView):
    """What the screen "my courses" shows, and nothing else."""

    serializer_class = ScreenEnrollment

    def get_queryset(self) -> QuerySet[Enrollment]:
        """Return the learner's own enrollments with what hangs on them."""
        user = self.request.user
        known = visible_courses(user).prefetch_related("tags", "lessons")
        mine = visible_enrollments(user).filter(learner__user=user.pk)
        return mine.prefetch_related(Prefetch("course", known))


# --8<-- [end:endpoint]

urlpatterns = [path("screens/my-courses/", MyCourses.as_view())]
