"""How much one client may ask."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from rest_framework.throttling import AnonRateThrottle, SimpleRateThrottle

from lab.academy.models import User

if TYPE_CHECKING:
    from rest_framework.request import Request


# --8<-- [start:window]
class WindowThrottle(SimpleRateThrottle):
    """Counts the requests of a minute or an hour, each in one atomic step."""

    num_requests: int
    duration: int

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return whether the request is still within the rate."""
        client = self.get_cache_key(request, view)
        if self.rate is None or client is None:
            return True
        self.now = self.timer()
        key = f"{client}_{int(self.now // self.duration)}"
        first = self.cache.add(key, 1, 2 * self.duration)
        number = 1 if first else self.cache.incr(key)
        return bool(number <= self.num_requests)

    def wait(self) -> float:
        """Return the seconds until the next window begins."""
        return float(self.duration - self.now % self.duration)


# --8<-- [end:window]


# --8<-- [start:sign_in]
class SignInsFromAddress(WindowThrottle):
    """Slows one who tries many accounts."""

    scope = "sign_in_address"

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Return what is counted: the address."""
        return self.cache_format % {
            "scope": self.scope,
            "ident": self.get_ident(request),
        }


class SignInsToAccount(WindowThrottle):
    """Slows many who try one account."""

    scope = "sign_in_account"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """Return what is counted: the account, whether it exists or not."""
        if not isinstance(request.data, dict):
            return None  # the serializer refuses it
        email = str(request.data.get("email")).strip().lower()
        email = email.encode(errors="replace").decode()
        user = User.objects.filter(email=email).first()
        account = user.email if user else email  # MariaDB takes é for e
        digest = hashlib.sha256(account.encode()).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": digest}


SIGN_IN = [SignInsFromAddress, SignInsToAccount]
# --8<-- [end:sign_in]


# --8<-- [start:three]
class Three(AnonRateThrottle):
    """Three requests a minute, counted as DRF counts."""

    scope = "three"
    rate = "3/min"


class ThreeCounted(WindowThrottle):
    """Three requests a minute, counted atomically."""

    scope = "three_counted"
    rate = "3/min"
    get_cache_key = AnonRateThrottle.get_cache_key


# --8<-- [end:three]
