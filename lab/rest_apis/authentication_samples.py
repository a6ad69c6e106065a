"""Views behind several ways to say who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication

from lab.academy.visibility import visible_courses
from lab.rest_apis.authentication import KeyAuthentication, WrongKeyAuthentication

if TYPE_CHECKING:
    from rest_framework.request import Request


# --8<-- [start:who]
class WhoView(APIView):
    """Say who is asking."""

    def get(self, request: Request) -> Response:
        """Return the user's address."""
        return Response({"you": request.user.get_username()})


def who(*classes: type[BaseAuthentication]) -> Any:
    """Return the view with these ways to say who one is, in this order."""
    return WhoView.as_view(authentication_classes=classes)


urlpatterns = [
    path("jwt-first/", who(JWTAuthentication, SessionAuthentication)),
    path("session-first/", who(SessionAuthentication, JWTAuthentication)),
    path("token/", who(TokenAuthentication)),
    path("basic/", who(BasicAuthentication)),
    path("key/", who(KeyAuthentication, JWTAuthentication)),
]
# --8<-- [end:who]


class CountView(APIView):
    """Say how many courses somebody can know of; open to everybody."""

    permission_classes = []

    def get(self, request: Request) -> Response:
        """Return the number of courses."""
        return Response(visible_courses(request.user).count())


urlpatterns += [
    path("count/", CountView.as_view(authentication_classes=[KeyAuthentication])),
    path(
        "wrong-count/",
        CountView.as_view(authentication_classes=[WrongKeyAuthentication]),
    ),
]
