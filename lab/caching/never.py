"""Answers that a cache makes wrong, and what to do in its place."""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.cache import cache_page, never_cache

from lab.academy.enrolling import CannotEnroll
from lab.academy.models import Course, Enrollment, Learner

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:wrong_may_read]
def wrong_may_read(learner: Learner, course: Course) -> Any:
    """Say whether the lessons are open to a learner."""
    return cache.get_or_set(
        f"may-read:{learner.pk}:{course.pk}",
        lambda: course.enrollments.filter(learner=learner).exists(),
        timeout=300,
    )


# --8<-- [end:wrong_may_read]


# --8<-- [start:wrong_enroll]
def wrong_enroll(learner: Learner, course: Course) -> Enrollment:
    """Give a learner a seat, if the cache says that there is one."""
    left: Any = cache.get_or_set(
        f"seats-left:{course.pk}",
        lambda: course.seats - course.enrollments.count(),
        timeout=10,
    )
    if left <= 0:
        raise CannotEnroll("the course is full")
    return Enrollment.objects.create(learner=learner, course=course)


# --8<-- [end:wrong_enroll]


# --8<-- [start:wrong_pages]
@login_not_required
@cache_page(60)
def wrong_form(request: HttpRequest) -> HttpResponse:
    """Show a form."""
    return HttpResponse(get_token(request))  # as {% csrf_token %} does


@login_not_required
@cache_page(60)
def wrong_messages(request: HttpRequest) -> HttpResponse:
    """Show what was to be said once."""
    return HttpResponse(", ".join(map(str, messages.get_messages(request))))


@login_not_required
@cache_page(60)
def wrong_basket(request: HttpRequest) -> HttpResponse:
    """Give a visitor a basket."""
    response = HttpResponse("Welcome")
    if "basket" not in request.COOKIES:
        response.set_cookie("basket", token_urlsafe())
    return response


# --8<-- [end:wrong_pages]


# --8<-- [start:basket]
@login_not_required
@never_cache
def basket(request: HttpRequest) -> HttpResponse:
    """Give a visitor a basket of their own."""
    response = HttpResponse("Welcome")
    if "basket" not in request.COOKIES:
        response.set_cookie("basket", token_urlsafe())
    return response


# --8<-- [end:basket]


@login_not_required
def say(request: HttpRequest) -> HttpResponse:
    """Leave a message, and take a form's answer."""
    messages.success(request, "Ama, you passed with 91.")
    return HttpResponse()


# --8<-- [start:wrong_link]
def wrong_link(email: str) -> str:
    """Return the secret of a link that signs in."""
    token = token_urlsafe()
    cache.set(f"link:{token}", {"email": email}, timeout=600)
    return token


# --8<-- [end:wrong_link]


# --8<-- [start:link]
def link(user: int) -> str:
    """Return the secret of a link that signs in; what is kept opens nothing."""
    token = token_urlsafe()
    cache.set(f"link:{sha256(token.encode()).hexdigest()}", user, timeout=600)
    return token


def user_of(token: str) -> Any:
    """Return who may sign in with a secret. It opens once."""
    name = f"link:{sha256(token.encode()).hexdigest()}"
    user = cache.get(name)
    return user if cache.delete(name) else None


# --8<-- [end:link]


# --8<-- [start:wrong_partners]
def wrong_partners(ask: Callable[[], list[str]]) -> Any:
    """Return what another service says; when it fails, nothing."""

    def partners() -> list[str]:
        try:
            return ask()
        except OSError:
            return []

    return cache.get_or_set("partners", partners, timeout=300)


# --8<-- [end:wrong_partners]


# --8<-- [start:partners]
def partners(ask: Callable[[], list[str]]) -> Any:
    """Return what another service says; when it fails, what it said last."""
    known = cache.get("partners")
    if known is not None:
        return known
    try:
        known = ask()
    except OSError:
        known = cache.get("partners:last", [])
        cache.set("partners", known, timeout=5)  # ask again soon, and not at once
    else:
        cache.set("partners", known, timeout=300)
        cache.set("partners:last", known, timeout=24 * 3600)
    return known


# --8<-- [end:partners]

urlpatterns = [
    path("form/", wrong_form),
    path("messages/", wrong_messages),
    path("wrong-basket/", wrong_basket),
    path("basket/", basket),
    path("say/", say),
]
