"""Views and types that the running lab does not load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.mixins import PermissionRequiredMixin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import View

from lab.academy.models import Enrollment
from lab.python.inheritance import CanSend, Course, Pigeon, Postcard

if TYPE_CHECKING:
    from lab.python.inheritance import Channel


# --8<-- [start:grades]
class Grades(View):
    """All grades of the academy."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return them."""
        seats = Enrollment.objects.exclude(grade=None)
        return JsonResponse({"grades": list(seats.values_list("grade", flat=True))})


class GuardedGrades(PermissionRequiredMixin, Grades):
    """All grades, for those who may see them."""

    permission_required = "academy.view_enrollment"


# --8<-- [end:grades]


# --8<-- [start:wrong_grades]
class WrongGrades(Grades, PermissionRequiredMixin):
    """All grades, for those who may see them."""

    permission_required = "academy.view_enrollment"


# --8<-- [end:wrong_grades]


# --8<-- [start:wrong_types]
class InvitationCourse(Course):
    """A course that asks for a code."""

    def enroll(self, learner: str, code: str) -> None:  # type: ignore[override]
        """Give a learner a seat, or raise CannotEnroll."""
        super().enroll(learner)


def welcome(channel: CanSend) -> str:
    """Send a welcome."""
    return channel.send("Ama", "Welcome")


def by_postcard() -> str:
    """Send it on a card."""
    return welcome(Postcard())  # type: ignore[arg-type]


def new_channel() -> Channel:
    """Make a channel."""
    return Pigeon()  # type: ignore[abstract]


# --8<-- [end:wrong_types]
