"""The way of a request through DRF: a trace of it, and a rule in the wrong place."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import JsonResponse
from django.urls import include, path
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.throttling import AnonRateThrottle, UserRateThrottle
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication

from lab.rest_apis import routing
from lab.rest_apis.parsers import StrictJSONParser
from lab.rest_apis.permissions import TeachesOrReads
from lab.rest_apis.serializers import CourseSerializer
from lab.rest_apis.views import CourseViewSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from rest_framework.request import Request

    GetResponse = Callable[[HttpRequest], HttpResponse]

log = logging.getLogger(__name__)


# --8<-- [start:trace]
depth = ContextVar("depth", default=0)


def traced(parent: type, *names: str, **attributes: Any) -> Any:
    """Return a subclass that reports each call of these methods."""

    def reporting(name: str) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            log.info("%s%s.%s", "    " * depth.get(), parent.__name__, name)
            outer = depth.set(depth.get() + 1)
            try:
                return getattr(parent, name)(self, *args, **kwargs)
            finally:
                depth.reset(outer)

        return method

    methods = {name: reporting(name) for name in names}
    return type(parent.__name__, (parent,), {**attributes, **methods})


TracedCourses = traced(
    CourseViewSet,
    *("dispatch", "initialize_request", "initial", "perform_content_negotiation"),
    *("determine_version", "perform_authentication", "check_permissions"),
    *("check_throttles", "create", "partial_update", "get_object"),
    *("perform_create", "perform_update", "handle_exception", "finalize_response"),
    authentication_classes=[
        traced(JWTAuthentication, "authenticate"),
        traced(SessionAuthentication, "authenticate"),
    ],
    permission_classes=[
        traced(TeachesOrReads, "has_permission", "has_object_permission")
    ],
    throttle_classes=[
        traced(AnonRateThrottle, "allow_request"),
        traced(UserRateThrottle, "allow_request"),
    ],
    parser_classes=[traced(StrictJSONParser, "parse")],
    renderer_classes=[traced(JSONRenderer, "render")],
    serializer_class=traced(
        CourseSerializer, "run_validation", "create", "update", "to_representation"
    ),
)
# --8<-- [end:trace]


# --8<-- [start:wrong_maintenance]
def wrong_maintenance(get_response: GetResponse) -> GetResponse:
    """Middleware that lets nobody but staff change anything."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method in SAFE_METHODS or request.user.is_staff:
            return get_response(request)
        return JsonResponse({"detail": "Come back in an hour."}, status=503)

    return middleware


# --8<-- [end:wrong_maintenance]

MAINTENANCE = "lab.rest_apis.request_cycle.wrong_maintenance"
WRONG_MIDDLEWARE = [*settings.MIDDLEWARE, MAINTENANCE]


# --8<-- [start:maintenance]
class Unavailable(APIException):
    """The academy is being worked on."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "Come back in an hour."


class Maintenance(BasePermission):
    """Lets nobody but staff change anything."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request may go on to the view."""
        if request.method in SAFE_METHODS or request.user.is_staff:
            return True
        raise Unavailable


# --8<-- [end:maintenance]


class Once(UserRateThrottle):
    """One request a minute."""

    scope = "once"
    rate = "1/min"


class Unrenderable(APIView):
    """Answers with what JSON has no form for."""

    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        """Answer with an object."""
        return Response({"made by": object()})


one = {"get": "retrieve", "patch": "partial_update"}

urlpatterns = [
    path("api/v1/", include("lab.rest_apis.urls")),
    path("api/v9/", include((routing.courses.urls, "v9"))),
    path("traced/", TracedCourses.as_view({"post": "create"}, detail=False)),
    path("traced/<slug:slug>/", TracedCourses.as_view(one, detail=True)),
    path("once/", CourseViewSet.as_view({"get": "list"}, throttle_classes=[Once])),
    path("unrenderable/", Unrenderable.as_view()),
    path(
        "maintained/",
        CourseViewSet.as_view(
            {"post": "create"},
            detail=False,
            permission_classes=[Maintenance, TeachesOrReads],
        ),
    ),
]
