"""What goes over the wire for a resource, and how a client names the state that it has."""

from __future__ import annotations

import csv
from hashlib import sha256
from http import HTTPStatus
from io import StringIO
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.urls import path
from django.urls.resolvers import RoutePattern, URLResolver
from django.utils.decorators import method_decorator
from django.utils.encoding import force_bytes
from django.utils.http import parse_etags
from django.views.decorators.http import condition
from rest_framework import exceptions, generics, mixins, permissions, viewsets
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response

from lab.academy.models import Course
from lab.academy.visibility import visible_courses
from lab.rest_apis.errors import PreconditionFailed
from lab.rest_apis.permissions import TeachesOrReads
from lab.rest_apis.serializers import CourseSerializer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from rest_framework.request import Request


# --8<-- [start:csv]
class CSVRenderer(BaseRenderer):
    """Rows as text/csv (RFC 4180), with the columns that the view names."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None
    ) -> str:
        """Return the rows as lines under a line of names."""
        columns = (renderer_context or {})["view"].columns
        text = StringIO(newline="")
        lines = csv.writer(text)
        lines.writerow(columns)
        lines.writerows([row[name] for name in columns] for row in data)
        return text.getvalue()


class CatalogView(generics.ListAPIView):
    """The catalog, for programs and for spreadsheets."""

    serializer_class = CourseSerializer
    permission_classes = [permissions.AllowAny]
    pagination_class = None
    renderer_classes = [JSONRenderer, CSVRenderer]
    columns = ("slug", "title", "level", "seats", "starts_on")

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of."""
        return visible_courses(self.request.user).prefetch_related("tags")

    def handle_exception(self, exc: Exception) -> Response:
        """Answer an error in JSON: it has no columns."""
        request: Any = self.request
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = "application/json"
        return super().handle_exception(exc)


# --8<-- [end:csv]


# --8<-- [start:quality]
class QualityNegotiation(DefaultContentNegotiation):
    """Choose the kind that the client prefers, not the first that it accepts."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer whose media type has the highest q value."""
        offered = {str(renderer.media_type): renderer for renderer in renderers}
        wanted = request.get_preferred_type(list(offered))  # of Django's HttpRequest
        if wanted is None:
            raise exceptions.NotAcceptable
        return offered[wanted], wanted


class FairCatalogView(CatalogView):
    """The same, for clients with a preference."""

    content_negotiation_class = QualityNegotiation


# --8<-- [end:quality]


# --8<-- [start:conditional]
class ConditionalMixin(
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Name each state of a resource (ETag), and take conditions on it.

    Reading and changing must use the same serializer.
    """

    changes = frozenset({"update", "partial_update", "destroy"})

    def etag(self, data: Any) -> str:
        """Return the strong entity tag of a representation."""
        renderer: Any = self.request.accepted_renderer
        content = renderer.render(
            data, self.request.accepted_media_type, self.get_renderer_context()
        )
        kind = renderer.media_type.encode()
        return f'"{sha256(kind + force_bytes(content)).hexdigest()[:16]}"'

    def check(self, tag: str) -> None:
        """Raise if the client wants another state than this (If-Match)."""
        wanted = self.request.headers.get("If-Match")
        if wanted is not None and not {"*", tag} & set(parse_etags(wanted)):
            raise PreconditionFailed

    def has(self, tag: str) -> bool:
        """Return whether the client has this state (If-None-Match), weakly compared."""
        known = self.request.headers.get("If-None-Match", "")
        return bool({"*", tag, f"W/{tag}"} & set(parse_etags(known)))

    # --8<-- [end:conditional]

    # --8<-- [start:conditions]
    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Lock the row that is about to change until the transaction ends."""
        queryset = super().filter_queryset(queryset)
        return queryset.select_for_update() if self.action in self.changes else queryset

    def get_object(self) -> Any:
        """Return the object; for a change, only in a state that the client accepts."""
        instance = super().get_object()
        if self.action in self.changes:
            tag = self.etag(self.get_serializer(instance).data)
            self.check(tag)
            if self.has(tag):
                raise PreconditionFailed
        return instance

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer with the representation, or 304 if the client has it."""
        response = super().retrieve(request, *args, **kwargs)
        tag = self.etag(response.data)
        self.check(tag)
        if self.has(tag):
            response = Response(status=HTTPStatus.NOT_MODIFIED)
        response["ETag"] = tag
        return response

    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change it, if it is still in the state that the client names."""
        response = super().update(request, *args, **kwargs)
        if self.action == "partial_update":  # for PUT see RFC 9110, section 9.3.4
            response["ETag"] = self.etag(response.data)
        return response

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete it, if it is still in the state that the client names."""
        return super().destroy(request, *args, **kwargs)


# --8<-- [end:conditions]


# --8<-- [start:wrong_plain]
class PlainCourseViewSet(viewsets.ModelViewSet):
    """Courses that the last writer wins."""

    serializer_class = CourseSerializer
    permission_classes = [TeachesOrReads]
    lookup_field = "slug"

    def get_queryset(self) -> QuerySet[Course]:
        """Return what this user can know of."""
        return visible_courses(self.request.user).prefetch_related("tags")


# --8<-- [end:wrong_plain]


# --8<-- [start:wrong_condition]
def course_tag(request: HttpRequest, slug: str) -> str | None:
    """Return the entity tag of a course, or None if there is no such course."""
    course = Course.objects.filter(slug=slug).first()
    content = course and JSONRenderer().render(CourseSerializer(course).data)
    return f'"{sha256(content).hexdigest()}"' if content else None


@method_decorator(condition(etag_func=course_tag), name="dispatch")
class CheckedCourseViewSet(PlainCourseViewSet):
    """The condition is checked, and then the course is changed."""


# --8<-- [end:wrong_condition]


# --8<-- [start:required]
class PreconditionRequired(exceptions.APIException):
    """The client did not say which state it has seen."""

    status_code = HTTPStatus.PRECONDITION_REQUIRED
    default_detail = "Send If-Match with the ETag of what you have read."
    default_code = "precondition_required"


class CarefulCourseViewSet(ConditionalMixin, PlainCourseViewSet):
    """Nothing changes unseen."""

    def check(self, tag: str) -> None:
        """Raise if a change comes without If-Match."""
        if self.action in self.changes and "If-Match" not in self.request.headers:
            raise PreconditionRequired
        super().check(tag)


# --8<-- [end:required]

course: dict[str, Any] = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}
urlpatterns = [
    path("catalog/", CatalogView.as_view()),
    path("fair/", FairCatalogView.as_view()),
    path("plain/<slug:slug>/", PlainCourseViewSet.as_view(course)),
    path("checked/<slug:slug>/", CheckedCourseViewSet.as_view(course)),
    path("careful/<slug:slug>/", CarefulCourseViewSet.as_view(course)),
    # By name, so that it is imported late: the lab's views import this module.
    URLResolver(RoutePattern(""), "lab.urls"),
]
