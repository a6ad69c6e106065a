"""Views with a limit that a test reaches soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from lab.rest_apis.throttling import Three, ThreeCounted

if TYPE_CHECKING:
    from rest_framework.request import Request


class ThreeOfUser(UserRateThrottle):
    """Three requests a minute, of one user."""

    rate = "3/min"


class Limited(APIView):
    """Answers three times a minute."""

    authentication_classes = [SessionAuthentication]
    permission_classes = [AllowAny]
    throttle_classes = [Three]

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response({"answer": 42})


urlpatterns = [
    path("limited/", Limited.as_view()),
    path("counted/", Limited.as_view(throttle_classes=[ThreeCounted])),
    path("user/", Limited.as_view(throttle_classes=[ThreeOfUser])),
]
