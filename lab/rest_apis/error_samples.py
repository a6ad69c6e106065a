"""Errors as they are often answered, with the routes to meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from django.views.decorators.cache import cache_page
from rest_framework.decorators import api_view, permission_classes
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from lab import urls
from lab.academy.models import Course, Learner

if TYPE_CHECKING:
    from rest_framework.request import Request


# --8<-- [start:wrong_handler]
def wrong_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Answer everything, so that no exception is left."""
    response = exception_handler(error, context)
    return response or Response({"error": str(error)}, status=400)


# --8<-- [end:wrong_handler]


# --8<-- [start:change_email]
class ChangeEmail(APIView):
    """The address of the learner who asks."""

    def post(self, request: Request) -> Response:
        """Change it; nobody has checked the new one."""
        data: Any = request.data
        mine = Learner.objects.filter(user=request.user.pk)
        mine.update(email=data["email"])
        return Response(status=204)


# --8<-- [end:change_email]


# --8<-- [start:wrong_seats]
@cache_page(60)
@api_view()
@permission_classes([AllowAny])
def wrong_seats(request: Request, slug: str) -> Response:
    """Say how many seats a course has."""
    course = Course.objects.filter(slug=slug).first()
    if course is None:
        return Response({"error": "There is no such course."})
    return Response({"seats": course.seats})


# --8<-- [end:wrong_seats]


# --8<-- [start:seats]
@cache_page(60)
@api_view()
@permission_classes([AllowAny])
def seats(request: Request, slug: str) -> Response:
    """Say how many seats a course has."""
    course = Course.objects.filter(slug=slug).first()
    if course is None:
        raise NotFound("There is no such course.")
    return Response({"seats": course.seats})


# --8<-- [end:seats]

urlpatterns = [
    path("api/samples/email/", ChangeEmail.as_view()),
    path("api/samples/wrong-seats/<slug:slug>/", wrong_seats),
    path("api/samples/seats/<slug:slug>/", seats),
    *urls.urlpatterns,
]
handler400 = urls.handler400
handler403 = urls.handler403
handler404 = urls.handler404
handler500 = urls.handler500
