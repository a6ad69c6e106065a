"""Docstrings that lie, and the API that describes itself in the words of its view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.routers import SimpleRouter

from lab.academy.enrolling import enroll
from lab.academy.models import Course, Learner
from lab.practices.documentation import DescribedEnrollmentViewSet
from lab.rest_apis.views import EnrollmentViewSet

if TYPE_CHECKING:
    from lab.academy.models import Enrollment


# --8<-- [start:wrong_passed]
def passed(grade: int) -> bool:
    """Return whether a grade is enough.

    >>> passed(60)
    True
    """
    return grade > 60


# --8<-- [end:wrong_passed]


# --8<-- [start:wrong_parameters]
def enroll_by_email(email: str, slug: str) -> Enrollment:
    """Give a learner a seat in a course.

    Args:
        email: The learner's address.
        slug: The course.
        notify: Whether the learner gets a letter.
    """
    learner = Learner.objects.get(email=email)
    return enroll(learner, Course.objects.get(slug=slug))


# --8<-- [end:wrong_parameters]


def routes(view: type[EnrollmentViewSet]) -> SimpleRouter:
    """Return the routes of one of the two views, without versions."""
    plain = type(
        view.__name__, (view,), {"versioning_class": None, "__doc__": view.__doc__}
    )
    router = SimpleRouter()
    router.register("enrollments", plain, basename="enrollment")
    return router


BEFORE = routes(EnrollmentViewSet).urls
AFTER = routes(DescribedEnrollmentViewSet).urls
