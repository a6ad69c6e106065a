"""A key that everybody knows, and two views that nobody wrote a rule for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView

from lab import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request


# --8<-- [start:wrong_key]
def wrong_key(environ: Mapping[str, str]) -> str:
    """Return the key that signs sessions, reset links and tokens."""
    return environ.get("SECRET_KEY", "django-insecure-change-me-before-production")


# --8<-- [end:wrong_key]


# --8<-- [start:key]
def key(environ: Mapping[str, str]) -> str:
    """Return the key that signs sessions, reset links and tokens."""
    return environment.secret(environ["SECRET_KEY"])


# --8<-- [end:key]


# --8<-- [start:forgotten]
def grades(request: HttpRequest) -> HttpResponse:
    """Show grades; who wrote this forgot to say to whom."""
    return HttpResponse("Ama 91")


class Grades(APIView):
    """Show grades; who wrote this forgot to say to whom."""

    def get(self, request: Request) -> Response:
        """Answer with the grades."""
        return Response({"Ama": 91})


# --8<-- [end:forgotten]

urlpatterns = [
    path("grades/", grades),
    path("api/grades/", Grades.as_view()),
    path("", include("lab.django_app.urls")),
]
