"""The last five rows of OWASP's list: each once open to an attack, and once closed."""

from __future__ import annotations

import base64
import logging
import pickle
import time
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.core.cache import cache
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.urls import path
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework_simplejwt.views import TokenObtainPairView

from lab.academy.enrolling import enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.rest_apis.throttling import SIGN_IN

if TYPE_CHECKING:
    from collections.abc import Mapping


# --8<-- [start:wrong_reserve]
def wrong_reserve(course: Course, email: str) -> Enrollment:
    """Give whoever asks a seat; no account is needed."""
    learner, _ = Learner.objects.get_or_create(email=email)
    return enroll(learner, course)


# --8<-- [end:wrong_reserve]


# --8<-- [start:reserve]
def reserve(course: Course, email: str) -> None:
    """Mail a link to whoever asks. No seat is taken yet."""
    token = signing.dumps([course.pk, email], salt="reserve")
    send_mail("Your seat", f"https://academy.example/seat/{token}", None, [email])


@transaction.atomic
def confirm(token: str) -> Enrollment:
    """Give whoever has read the mail a seat."""
    course, email = signing.loads(token, salt="reserve", max_age=24 * 3600)
    learner, _ = Learner.objects.get_or_create(email=email)
    return enroll(learner, Course.objects.get(pk=course))


# --8<-- [end:reserve]


urlpatterns = [
    # --8<-- [start:wrong_sign_in]
    path("wrong/token/", TokenObtainPairView.as_view(throttle_classes=[])),
    # --8<-- [end:wrong_sign_in]
    # --8<-- [start:sign_in]
    path("token/", TokenObtainPairView.as_view(throttle_classes=SIGN_IN)),
    # --8<-- [end:sign_in]
]


# --8<-- [start:wrong_load]
def wrong_load(cookie: str) -> Any:
    """Return the search that a visitor has saved in a cookie."""
    return pickle.loads(base64.b64decode(cookie))  # noqa: S301


# --8<-- [end:wrong_load]


# --8<-- [start:load]
def save(search: dict[str, Any]) -> str:
    """Return a search as a visitor may keep it in a cookie."""
    return signing.dumps(search, salt="search")


def load(cookie: str) -> Any:
    """Return the search that ``save`` has put into a cookie.

    Raises:
        signing.BadSignature: Somebody else has made this cookie.
    """
    return signing.loads(cookie, salt="search")


# --8<-- [end:load]

logger = logging.getLogger("academy.security")


# --8<-- [start:wrong_note]
def wrong_note(credentials: Mapping[str, str], **_: object) -> None:
    """Note that somebody could not sign in."""
    logger.warning(f"sign-in failed for {account_in(credentials)}")


# --8<-- [end:wrong_note]


# --8<-- [start:note]
ALARM_AT = 10  # failures of one account in an hour


def account_in(credentials: Mapping[str, str]) -> str:
    """Return who wanted to sign in: "username" in forms, "email" in the API."""
    return credentials.get("username") or credentials.get("email", "")


def note(credentials: Mapping[str, str], **_: object) -> None:
    """Note that somebody could not sign in; wake somebody if it goes on."""
    account = account_in(credentials).strip().lower()[:80]
    logger.warning("sign-in failed for %r", account)
    key = "failed-" + salted_hmac("failed", account, algorithm="sha256").hexdigest()
    first = cache.add(key, 1, 3600)
    if not first and cache.incr(key) == ALARM_AT:
        logger.error("ALARM: %d failed sign-ins for %r", ALARM_AT, account)


# --8<-- [end:note]


# --8<-- [start:wrong_download]
@login_not_required
def wrong_download(request: HttpRequest) -> HttpResponse:
    """Hand out the material of a course until the link expires."""
    try:
        if int(request.GET["until"]) < time.time():
            return HttpResponseForbidden("This link has expired.")
        if not genuine(request.GET["until"], request.GET["signature"]):
            return HttpResponseForbidden("This link is not ours.")
    except (KeyError, ValueError):
        logger.warning("a link without its parameters")
    return HttpResponse("the material")


# --8<-- [end:wrong_download]


# --8<-- [start:download]
@login_not_required
def download(request: HttpRequest) -> HttpResponse:
    """Hand out the material of a course until the link expires."""
    try:
        fresh = int(request.GET["until"]) >= time.time()
        allowed = fresh and genuine(request.GET["until"], request.GET["signature"])
    except (KeyError, ValueError):
        allowed = False
    if not allowed:
        return HttpResponseForbidden("This link is not valid.")
    return HttpResponse("the material")


# --8<-- [end:download]


# --8<-- [start:genuine]
def signature(until: str) -> str:
    """Return what proves that the link is ours."""
    return salted_hmac("material", until, algorithm="sha256").hexdigest()


def genuine(until: str, given: str) -> bool:
    """Return whether the signature of a link is ours."""
    return constant_time_compare(given, signature(until))


# --8<-- [end:genuine]


urlpatterns += [
    path("wrong/download/", wrong_download),
    path("download/", download),
]
