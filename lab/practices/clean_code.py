"""How courses went, as JSON: a view that works, the same in parts, and packed for its number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.http import HttpRequest, JsonResponse

from lab.academy.models import Certificate, Enrollment

if TYPE_CHECKING:
    from collections.abc import Iterable


# --8<-- [start:before]
def before(request: HttpRequest) -> JsonResponse:
    """Return the learner's courses and how they went."""
    status = 200
    out: list[dict[str, Any]] = []
    data: dict[str, Any] = {"courses": out}
    if request.user.is_authenticated:
        s = request.GET.get("state")
        if s is None or s == "passed" or s == "failed" or s == "open":
            es = Enrollment.objects.filter(learner__user=request.user)
            for e in es.select_related("course").order_by("course__title"):
                c, g = e.course.title, e.grade
                if g is not None:
                    if g >= 80:
                        if s is None or s == "passed":
                            out.append({"course": c, "state": "passed", "grade": g})
                    elif s is None or s == "failed":
                        out.append({"course": c, "state": "failed", "grade": g})
                elif s is None or s == "open":
                    out.append({"course": c, "state": "open", "grade": g})
        else:
            data = {"detail": "unknown state"}
            status = 400
    else:
        data = {"detail": "sign in first"}
        status = 401
    return JsonResponse(data, status=status)


# --8<-- [end:before]


# --8<-- [start:state]
class State(models.TextChoices):
    """How a course went for a learner."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"


def state_of(grade: int | None) -> State:
    """Judge a grade; without one the course goes on."""
    if grade is None:
        return State.OPEN
    return State.PASSED if grade >= Certificate.FROM_GRADE else State.FAILED


# --8<-- [end:state]


# --8<-- [start:after]
def row(enrollment: Enrollment) -> dict[str, Any]:
    """Return an enrollment as the answer shows it."""
    return {
        "course": enrollment.course.title,
        "state": state_of(enrollment.grade).value,
        "grade": enrollment.grade,
    }


def rows(enrollments: Iterable[Enrollment], wanted: str | None) -> list[dict[str, Any]]:
    """Return the enrollments in a state; without one, all of them."""
    shown = [row(enrollment) for enrollment in enrollments]
    return [one for one in shown if wanted in (None, one["state"])]


def refuse(status: int, detail: str) -> JsonResponse:
    """Say why there is no answer."""
    return JsonResponse({"detail": detail}, status=status)


def after(request: HttpRequest) -> JsonResponse:
    """Return the learner's courses and how they went."""
    if not request.user.is_authenticated:
        return refuse(401, "sign in first")
    wanted = request.GET.get("state")
    if wanted is not None and wanted not in State.values:
        return refuse(400, "unknown state")
    own = Enrollment.objects.filter(learner__user=request.user)
    found = own.select_related("course").order_by("course__title")
    return JsonResponse({"courses": rows(found, wanted)})


# --8<-- [end:after]


# --8<-- [start:packed]
def packed(request: HttpRequest) -> JsonResponse:
    """Return the learner's courses and how they went."""
    u, s = request.user, request.GET.get("state")
    bad = s not in (None, "passed", "failed", "open")
    return (
        JsonResponse({"detail": "sign in first"}, status=401)
        if not u.is_authenticated
        else JsonResponse({"detail": "unknown state"}, status=400)
        if bad
        else JsonResponse(
            {
                "courses": [
                    {"course": e.course.title, "state": t, "grade": e.grade}
                    for e in Enrollment.objects.filter(learner__user=u)
                    .select_related("course")
                    .order_by("course__title")
                    for t in [
                        (e.grade is None and "open")
                        or ((e.grade or 0) >= 80 and "passed")
                        or "failed"
                    ]
                    if s in (None, t)
                ]
            }
        )
    )


# --8<-- [end:packed]


# --8<-- [start:wrong_state_of]
def wrong_state_of(grade: int | None) -> State:
    """Judge a grade; without one the course goes on."""
    if not grade:  # shorter
        return State.OPEN
    return State.PASSED if grade >= Certificate.FROM_GRADE else State.FAILED


# --8<-- [end:wrong_state_of]
