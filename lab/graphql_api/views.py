"""The view of the graph: it finds out who asks, and leaves what they get to the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from lab.graphql_api.http import HttpView

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from lab.academy.models import User


# --8<-- [start:view]
@method_decorator([login_not_required, csrf_exempt], name="dispatch")
class AcademyView(HttpView):
    """Takes a token, or a session with its CSRF token, or nobody at all."""

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Find out who asks, then let the schema answer."""
        try:
            found = JWTAuthentication().authenticate(Request(request))
            if found:
                request.user = cast("User", found[0])  # whatever the cookies say
            elif "Authorization" in request.headers:
                raise AuthenticationFailed  # not a Bearer token
            elif request.COOKIES:
                SessionAuthentication().enforce_csrf(request)  # type: ignore
        except AuthenticationFailed:
            return refused(401, "UNAUTHENTICATED", "This token is not valid.")
        except PermissionDenied as error:
            return refused(403, "FORBIDDEN", str(error.detail))
        return super().dispatch(request, *args, **kwargs)


# --8<-- [end:view]


# --8<-- [start:refused]
def refused(status: int, code: str, reason: str) -> JsonResponse:
    """Refuse a request in the words of HTTP and in those of GraphQL."""
    error = {"message": reason, "extensions": {"code": code}}
    response = JsonResponse({"errors": [error]}, status=status)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="api", error="invalid_token"'
    return response


# --8<-- [end:refused]
