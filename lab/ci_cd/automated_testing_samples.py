"""One bug for each level of tests: the level below passes, this one fails."""

from __future__ import annotations

from django.urls import path

from lab.academy.models import Course, Learner
from lab.ci_cd.automated_testing import seats


# --8<-- [start:wrong_seats_left]
def wrong_seats_left(seats: int, enrolled: int) -> int:
    """Return how many more learners a course takes."""
    return seats - enrolled  # of 30 seats and 31 learners: -1


# --8<-- [end:wrong_seats_left]


# --8<-- [start:wrong_successful]
def wrong_successful() -> int:
    """Return how many learners have passed a course."""
    return Learner.objects.filter(enrollments__grade__gte=60).count()


# --8<-- [end:wrong_successful]


# --8<-- [start:wrong_open_to_all]
def wrong_open_to_all(course: Course) -> None:
    """Give a course more seats than anybody will ask for."""
    course.seats = 100_000
    course.save()


# --8<-- [end:wrong_open_to_all]


# --8<-- [start:wrong_urls]
urlpatterns = [path("seats/<int:slug>/", seats)]
# --8<-- [end:wrong_urls]


# --8<-- [start:wrong_form]
FORM = '<form method="post"><button type="button">Join</button></form>'
# --8<-- [end:wrong_form]
