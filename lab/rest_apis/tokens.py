"""JSON Web Tokens: who gets one, what still refreshes, and a cookie that no script reads."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.urls import path
from rest_framework.exceptions import NotAuthenticated
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.serializers import (
    PasswordField,
    TokenObtainPairSerializer,
    TokenRefreshSerializer,
)
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.views import (
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
    TokenViewBase,
)

from lab.rest_apis.throttling import SIGN_IN

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.response import Response


# --8<-- [start:obtain]
class ObtainSerializer(TokenObtainPairSerializer):
    """Take an address in any case and a password as it is, as the form does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"] = PasswordField(trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """Write the address as ``create_user`` stores it."""
        attrs["email"] = attrs["email"].strip().lower()
        return super().validate(attrs)


# --8<-- [end:obtain]


# --8<-- [start:refresh]
class RefreshSerializer(TokenRefreshSerializer):
    """Ask of a refresh token what is asked of an access token, and take it once."""

    @transaction.atomic
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        """Refuse it if the account is gone or inactive, or has a new password."""
        token = self.token_class(attrs["refresh"])
        JWTAuthentication().get_user(token)
        # A second request with this token waits here, then finds it blacklisted.
        OutstandingToken.objects.select_for_update().filter(jti=token["jti"]).first()
        return super().validate(attrs)


# --8<-- [end:refresh]


# --8<-- [start:decode]
def decode(token: str) -> list[dict[str, Any]]:
    """Return the two parts of a token that anybody can read. Checks nothing."""
    parts = token.split(".")[:2]
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in parts]


# --8<-- [end:decode]


# --8<-- [start:wrong_decode]
def wrong_user_id(authorization: str) -> str:
    """Believe whatever the token says."""
    token = authorization.removeprefix("Bearer ")
    return str(decode(token)[1]["user_id"])


# --8<-- [end:wrong_decode]


# --8<-- [start:cookie]
COOKIE: dict[str, Any] = {
    "key": "refresh",
    "path": "/browser/token/",
    "samesite": "Strict",
}


class SetsCookie(TokenViewBase):
    """Answer with the access token; hand the refresh token over in a cookie."""

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Move the refresh token out of the reach of scripts."""
        response = super().post(request, *args, **kwargs)
        response.set_cookie(
            value=response.data.pop("refresh"),
            max_age=RefreshToken.lifetime,
            secure=True,
            httponly=True,
            **COOKIE,
        )
        return response


class ReadsCookie(TokenViewBase):
    """Take the refresh token from the cookie, and none from the body."""

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Put the cookie in the place of the body."""
        if "refresh" not in self.request.COOKIES:
            raise NotAuthenticated
        kwargs["data"] = {"refresh": self.request.COOKIES["refresh"]}
        return super().get_serializer(*args, **kwargs)


# --8<-- [end:cookie]


# --8<-- [start:browser]
class BrowserTokenView(SetsCookie, TokenObtainPairView):
    """Sign in."""

    throttle_classes = SIGN_IN


class BrowserRefreshView(SetsCookie, ReadsCookie, TokenRefreshView):
    """Go on."""


class BrowserRevokeView(ReadsCookie, TokenBlacklistView):
    """Sign out."""

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Revoke the refresh token and delete its cookie."""
        response = super().post(request, *args, **kwargs)
        response.delete_cookie(**COOKIE)
        return response


urlpatterns = [
    path("browser/token/", BrowserTokenView.as_view()),
    path("browser/token/refresh/", BrowserRefreshView.as_view()),
    path("browser/token/revoke/", BrowserRevokeView.as_view()),
]
# --8<-- [end:browser]
