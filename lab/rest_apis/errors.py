"""One format for every error of the API: problem details (RFC 9457)."""

from __future__ import annotations

import logging
import sys
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.db.models import ProtectedError
from django.http import Http404, HttpResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest
    from rest_framework.response import Response

logger = logging.getLogger(__name__)

# --8<-- [start:conflict]
PROBLEMS = "https://academy.example/problems/"


class Conflict(exceptions.APIException):
    """The request is well formed, and the state of the resource forbids it."""

    status_code = HTTPStatus.CONFLICT
    default_detail = "This is not possible in the present state."
    default_code = "conflict"


# --8<-- [end:conflict]


# --8<-- [start:precondition]
class PreconditionFailed(exceptions.APIException):
    """The resource is in another state than the one that the client asks for."""

    status_code = HTTPStatus.PRECONDITION_FAILED
    default_detail = "This is not the state that you have seen. Read it again."
    default_code = "precondition_failed"


# --8<-- [end:precondition]


class WrongParameters(exceptions.ValidationError):
    """The query of the URL is wrong; its detail names the parameters."""


def parameters(detail: Any) -> Iterator[dict[str, str]]:
    """Yield each message with its parameter: there is no body to point into."""
    for name, messages in detail.items():
        for text in messages:
            yield {"parameter": name, "code": str(text.code), "detail": str(text)}


# --8<-- [start:details]
MEDIA_TYPE = "application/problem+json"
PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}  # since RFC 9110
SAY_NO_MORE_THAN_THE_STATUS = {
    "authentication_failed",
    "error",
    "method_not_allowed",
    "not_acceptable",
    "not_authenticated",
    "not_found",
    "parse_error",
    "permission_denied",
    "precondition_failed",
    "throttled",
    "unsupported_media_type",
}


def details(status: int, code: str = "error", **more: Any) -> dict[str, Any]:
    """Return problem details. A code that says more than the status is their type."""
    plain = code in SAY_NO_MORE_THAN_THE_STATUS
    return {
        "type": "about:blank" if plain else PROBLEMS + code,
        "title": PHRASES.get(status) or HTTPStatus(status).phrase,
        "status": int(status),
        **more,
    }


# --8<-- [end:details]


# --8<-- [start:handler]
def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception of a view; leave what is a bug to Django.

    Args:
        error: What the view raised.
        context: The view, its arguments and the request, as DRF passes them.
    """
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing here for you.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied("You may not do this.")
    elif isinstance(error, ProtectedError):
        error = Conflict("Other things depend on this one.")
    response = exception_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        return None  # Django logs it with its traceback and calls failed()
    code = response.status_code
    if isinstance(error, exceptions.ValidationError):
        of = parameters if isinstance(error, WrongParameters) else entries
        title, errors = "Some values are not valid", list(of(error.detail))
        response.data = details(code, "validation", title=title, errors=errors)
    else:
        response.data = details(code, **said(error))
    response.content_type = MEDIA_TYPE
    return response


def said(error: exceptions.APIException) -> dict[str, str]:
    """Return the text and the code of an exception that has one of each."""
    if isinstance(error.detail, dict):  # the way of simplejwt
        return {name: str(error.detail[name]) for name in ("detail", "code")}
    return {"detail": str(error.detail), "code": str(error.get_codes())}


# --8<-- [end:handler]


# --8<-- [start:entries]
def entries(detail: Any, pointer: str = "#") -> Iterator[dict[str, str]]:
    """Yield each message of a validation error, with a pointer into the body.

    Args:
        detail: ``ValidationError.detail``, or a part of it.
        pointer: The place of this part: a JSON Pointer as a fragment (RFC 6901).
    """
    if isinstance(detail, exceptions.ErrorDetail):
        yield {"pointer": pointer, "code": str(detail.code), "detail": str(detail)}
        return
    parts = detail.items() if isinstance(detail, dict) else enumerate(detail)
    for key, part in parts:
        # The messages of one place stand in a list; their index says nothing.
        message = isinstance(detail, list) and isinstance(part, exceptions.ErrorDetail)
        whole = message or key == api_settings.NON_FIELD_ERRORS_KEY
        yield from entries(part, pointer if whole else f"{pointer}/{escape(str(key))}")


def escape(key: str) -> str:
    """Return a key as a step of a pointer: ~ and / have a meaning there."""
    return quote(key.replace("~", "~0").replace("/", "~1"), safe="~")


# --8<-- [end:entries]


# --8<-- [start:outside]
def answer(body: dict[str, Any]) -> HttpResponse:
    """Return problem details where DRF is not at work."""
    content = JSONRenderer().render(body)
    return HttpResponse(content, status=body["status"], content_type=MEDIA_TYPE)


def of_api(request: HttpRequest) -> bool:
    """Return whether a program asks, and not a browser."""
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django holds for an attack (handler400): a foreign Host."""
    if not of_api(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return answer(details(413, detail="The body is too large."))
    return answer(details(400, detail="The request is not acceptable."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a refusal from outside the views (handler403)."""
    if not of_api(request):
        return defaults.permission_denied(request, exception)
    return answer(details(403, detail="You may not do this."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a path that no route has (handler404)."""
    if not of_api(request):
        return defaults.page_not_found(request, exception)
    return answer(details(404, detail="No resource has this path."))


# --8<-- [end:outside]


# --8<-- [start:failed]
def failed(request: HttpRequest) -> HttpResponse:
    """Answer every other exception (handler500); the log has what the client has not."""
    if not of_api(request):
        return defaults.server_error(request)
    error = sys.exception()
    if isinstance(error, OperationalError | InterfaceError):
        status, detail = 503, "The academy is not available. Try again later."
    elif isinstance(error, DataError):  # no validator has seen it, the database has
        status, detail = 400, "A value does not fit where it goes."
    else:
        status, detail = 500, "The fault is ours. Name the instance if you ask."
    instance = f"urn:uuid:{uuid.uuid4()}"
    logger.error("%s is %s", instance, type(error).__name__)
    response = answer(details(status, detail=detail, instance=instance))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = "30"
    return response


# --8<-- [end:failed]
