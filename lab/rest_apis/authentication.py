"""Who is asking: a way to say it of one's own.

Keep views out of this module: the settings may name its classes, and DRF imports
those while it defines its own view.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from lab.academy.models import User

if TYPE_CHECKING:
    from rest_framework.request import Request


# --8<-- [start:key]
class KeyAuthentication(BaseAuthentication):
    """``Authorization: Api-Key …``; the settings hold the hash of each key."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return whose key it is, or None if the request brings none."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "api-key":
            return None  # not for this class: the next one is asked
        keys: dict[str, str] = getattr(settings, "API_KEYS", {})
        email = keys.get(hashlib.sha256(key.encode()).hexdigest())
        user = User.objects.filter(email=email, is_active=True).first()
        if user is None:
            raise AuthenticationFailed("This key is not valid.")
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme in ``WWW-Authenticate``, and so answer 401."""
        return 'Api-Key realm="api"'


# --8<-- [end:key]


# --8<-- [start:wrong_key]
class WrongKeyAuthentication(KeyAuthentication):
    """Return None for a bad key, as if there were none."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Hide the refusal."""
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            return None


# --8<-- [end:wrong_key]
