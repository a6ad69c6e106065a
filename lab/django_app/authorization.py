"""Who may see which grades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.mixins import UserPassesTestMixin
from django.shortcuts import get_object_or_404, render
from django.views.generic import DetailView

from lab.academy.models import Course, Enrollment

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser
    from django.db.models import Model
    from django.http import HttpResponse

    from lab.academy.models import User
    from lab.django_app.authentication import SignedIn


# --8<-- [start:enrollment_detail]
def enrollment_detail(request: SignedIn, pk: int) -> HttpResponse:
    """Show an enrollment to its learner; for everybody else there is none."""
    mine = Enrollment.objects.filter(learner__user=request.user)
    enrollment = get_object_or_404(mine.select_related("course"), pk=pk)
    return render(
        request, "django_app/enrollment_detail.html", {"enrollment": enrollment}
    )


# --8<-- [end:enrollment_detail]


# --8<-- [start:wrong_enrollment]
def wrong_enrollment(request: SignedIn, pk: int) -> HttpResponse:
    """Show an enrollment to anybody who is signed in and can count."""
    enrollment = get_object_or_404(Enrollment, pk=pk)
    return render(
        request, "django_app/enrollment_detail.html", {"enrollment": enrollment}
    )


# --8<-- [end:wrong_enrollment]


# --8<-- [start:course_grades]
class CourseGrades(UserPassesTestMixin, DetailView):
    """The grades of a course, for its teacher."""

    queryset = Course.objects.prefetch_related("enrollments__learner")
    template_name = "django_app/course_grades.html"

    def test_func(self) -> bool:
        """Return whether the user teaches this course."""
        course: Course = self.get_object()
        return course.teacher == self.request.user


# --8<-- [end:course_grades]


# --8<-- [start:gradebook]
@permission_required("academy.view_enrollment", raise_exception=True)
def gradebook(request: SignedIn) -> HttpResponse:
    """Show all grades to whoever may view enrollments."""
    enrollments = Enrollment.objects.select_related("learner", "course")
    return render(request, "django_app/gradebook.html", {"enrollments": enrollments})


# --8<-- [end:gradebook]


# --8<-- [start:backend]
class TeacherBackend(BaseBackend):
    """Lets a teacher change the enrollments of the courses they teach."""

    def has_perm(
        self, user_obj: User | AnonymousUser, perm: str, obj: Model | None = None
    ) -> bool:
        """Return whether this user has this permission for this enrollment."""
        return (
            perm == "academy.change_enrollment"
            and isinstance(obj, Enrollment)
            and user_obj.is_active
            and obj.course.teacher_id == user_obj.pk
        )


# --8<-- [end:backend]
