"""The first five rows of OWASP's list: each once open to an attack, and once closed."""

from __future__ import annotations

import random
import secrets
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener, urlopen

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import include, path
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from lab import environment
from lab.academy.models import Enrollment
from lab.academy.visibility import visible_courses, visible_enrollments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import AnonymousUser

    from lab.academy.models import User

    class SignedIn(HttpRequest):
        """A request that LoginRequiredMiddleware has let through."""

        user: User


# --8<-- [start:wrong_grade]
def wrong_grade(request: SignedIn, number: int) -> JsonResponse:
    """Show a grade."""
    seat = get_object_or_404(Enrollment, pk=number)
    return JsonResponse({"grade": seat.grade})


# --8<-- [end:wrong_grade]


# --8<-- [start:grade]
def grade(request: SignedIn, number: int) -> JsonResponse:
    """Show a grade to those who may know of it."""
    seat = get_object_or_404(visible_enrollments(request.user), pk=number)
    return JsonResponse({"grade": seat.grade})


# --8<-- [end:grade]


# --8<-- [start:wrong_cover]
def wrong_cover(url: str) -> bytes:
    """Fetch the picture that a teacher wants on a course's page."""
    with urlopen(url, timeout=3) as answer:  # noqa: S310
        return bytes(answer.read())


# --8<-- [end:wrong_cover]


# --8<-- [start:cover]
COVERS = {"https://covers.example"}  # the only servers that we ask


class RefusedError(Exception):
    """We do not ask this server."""


class NoRedirects(HTTPRedirectHandler):
    """Goes where it was told to, and nowhere else."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Refuse to go on; the caller gets an HTTPError."""


def cover(url: str) -> bytes:
    """Fetch the picture that a teacher wants on a course's page."""
    parts = urlsplit(url)
    if f"{parts.scheme}://{parts.netloc}" not in COVERS:
        raise RefusedError
    with build_opener(NoRedirects).open(url, timeout=3) as answer:
        return bytes(answer.read(1_000_000))


# --8<-- [end:cover]


# --8<-- [start:wrong_debug]
def wrong_debug(environ: Mapping[str, str]) -> bool:
    """Return whether to show what went wrong."""
    return bool(environ.get("DEBUG", "True"))


# --8<-- [end:wrong_debug]


# --8<-- [start:debug]
def debug(environ: Mapping[str, str]) -> bool:
    """Return whether to show what went wrong."""
    return environment.boolean(environ.get("DEBUG", "false"))


# --8<-- [end:debug]


# --8<-- [start:wrong_code]
def wrong_code() -> int:
    """Return the code that opens a certificate to whoever is sent the link."""
    return random.getrandbits(32)


# --8<-- [end:wrong_code]


# --8<-- [start:code]
def code() -> str:
    """Return the code that opens a certificate to whoever is sent the link."""
    return secrets.token_urlsafe(16)


# --8<-- [end:code]


# --8<-- [start:wrong_search]
def wrong_search(word: str) -> list[str]:
    """Return the titles of published courses that contain a word."""
    query = (
        "SELECT title FROM academy_course"  # noqa: S608
        f" WHERE published AND title LIKE '%{word}%' ORDER BY 1"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [title for (title,) in cursor]


# --8<-- [end:wrong_search]


# --8<-- [start:search]
def search(user: User | AnonymousUser, word: str) -> list[str]:
    """Return the titles of visible courses that contain a word."""
    found = visible_courses(user).filter(title__contains=word)
    return list(found.values_list("title", flat=True))


# --8<-- [end:search]


# --8<-- [start:wrong_heading]
def wrong_heading(title: str) -> SafeString:
    """Return a heading of a page."""
    return mark_safe(f"<h1>{title}</h1>")  # noqa: S308


# --8<-- [end:wrong_heading]


# --8<-- [start:heading]
def heading(title: str) -> SafeString:
    """Return a heading of a page."""
    return format_html("<h1>{}</h1>", title)


# --8<-- [end:heading]


@login_not_required
def report(request: HttpRequest) -> HttpResponse:
    """Fail, with the key of another service at hand."""
    api_key = "n0-secret"
    raise ConnectionError(f"refused a key of {len(api_key)} letters")


urlpatterns = [
    path("wrong/grades/<int:number>/", wrong_grade),
    path("grades/<int:number>/", grade),
    path("report/", report),
    path("", include("lab.django_app.urls")),
]
