"""Who may know what through the graph, where the academy's own rule says too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q

from lab.academy.models import Enrollment, Learner

if TYPE_CHECKING:
    import strawberry
    from django.contrib.auth.models import AnonymousUser
    from django.db.models import QuerySet

    from lab.academy.models import User


# --8<-- [start:visible_learners]
def visible_learners(user: User | AnonymousUser) -> QuerySet[Learner]:
    """Return the user's own learner and those whom they teach; the office sees all."""
    if not user.is_authenticated:
        return Learner.objects.none()
    if user.is_staff and user.has_perm("academy.view_enrollment"):
        return Learner.objects.all()
    taught = Enrollment.objects.filter(course__teacher=user)
    return Learner.objects.filter(Q(user=user) | Q(pk__in=taught.values("learner")))


# --8<-- [end:visible_learners]


# --8<-- [start:may_write_to]
def is_taught(info: strawberry.Info) -> Exists:
    """Return the question, for each learner, whether the user teaches them."""
    taught = Enrollment.objects.filter(course__teacher=info.context.request.user.pk)
    return Exists(taught.filter(learner=OuterRef("pk")))


def may_write_to(learner: Learner, info: strawberry.Info) -> bool:
    """Return whether the user may know the learner's address."""
    user = info.context.request.user
    if not user.is_authenticated:  # their pk is None, as that of a missing account
        return False
    if learner.user_id == user.pk:
        return True
    asked: bool | None = getattr(learner, "is_taught", None)
    if asked is None:  # a row that the optimizer has not fetched
        return learner.enrollments.filter(course__teacher=user).exists()
    return asked


# --8<-- [end:may_write_to]
