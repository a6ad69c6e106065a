"""Who can know of what: the rule that every page and API of the academy starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from lab.academy.models import Course, Enrollment

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser
    from django.db.models import QuerySet

    from lab.academy.models import User


# --8<-- [start:visible]
def visible_courses(user: User | AnonymousUser) -> QuerySet[Course]:
    """Return the published courses and the drafts that this user teaches."""
    if not user.is_authenticated:  # their pk is None, which would match "no teacher"
        return Course.objects.filter(published=True)
    return Course.objects.filter(Q(published=True) | Q(teacher=user))


def visible_enrollments(user: User | AnonymousUser) -> QuerySet[Enrollment]:
    """Return the user's own enrollments and those in courses that they teach."""
    if not user.is_authenticated:
        return Enrollment.objects.none()
    return Enrollment.objects.filter(Q(learner__user=user) | Q(course__teacher=user))


# --8<-- [end:visible]
