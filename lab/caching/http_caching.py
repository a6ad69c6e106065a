"""What HTTP says of caching, as Django sends it and as caches read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.http import condition
from django.views.decorators.vary import vary_on_headers

from lab.academy.models import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    View = Callable[[HttpRequest], HttpResponse]


# --8<-- [start:decorators]
@login_not_required
@cache_control(public=True, max_age=60, s_maxage=600, stale_while_revalidate=30)
def catalog(request: HttpRequest) -> HttpResponse:
    """Say the same to everybody: any cache may keep it."""
    return HttpResponse("Databases, Python")


@cache_control(private=True, max_age=60)
def my_grades(request: HttpRequest) -> HttpResponse:
    """Say what only one browser may keep."""
    return HttpResponse("Python: 91")


@never_cache
def exam(request: HttpRequest) -> HttpResponse:
    """Say what nobody may keep."""
    return HttpResponse("Question 1")


@login_not_required
def course(request: HttpRequest) -> HttpResponse:
    """Decide in the view, when it is known who asks."""
    response = HttpResponse("Databases")
    if request.GET.get("preview"):
        patch_cache_control(response, private=True, no_store=True)
    else:
        patch_cache_control(response, public=True, max_age=60)
    return response


# --8<-- [end:decorators]


# --8<-- [start:certificates]
def issued(*fields: str) -> JsonResponse:
    """Return every certificate."""
    rows = Certificate.objects.order_by("pk").values(*fields)
    return JsonResponse({"certificates": list(rows)})


@login_not_required
@cache_control(no_cache=True)  # keep it, and ask before each use
def certificates(request: HttpRequest) -> HttpResponse:
    """List them; ConditionalGetMiddleware makes the tag from the whole answer."""
    return issued("number")


def newest(request: HttpRequest) -> str:
    """Return a tag that costs one row: certificates are added and never edited."""
    state = Certificate.objects.aggregate(count=Count("pk"), last=Max("pk"))
    return f'"{state["count"]}-{state["last"]}"'


@login_not_required
@cache_control(no_cache=True)  # outside: a 304 says it, too
@condition(etag_func=newest)
def certificates_by_tag(request: HttpRequest) -> HttpResponse:
    """List them, if the client does not have them already."""
    return issued("number")


# --8<-- [end:certificates]


# --8<-- [start:wrong_tag]
@login_not_required
@condition(etag_func=newest)
def wrong_names(request: HttpRequest) -> HttpResponse:
    """List them with names, under a tag that knows nothing of names."""
    return issued("number", "enrollment__learner__name")


# --8<-- [end:wrong_tag]


# --8<-- [start:vary]
def device(request: HttpRequest) -> str:
    """Return the one of two kinds of devices that asks."""
    agent = request.META.get("HTTP_USER_AGENT", "")
    return "Mobile" if "Mobile" in agent else "Desktop"


@cache_page(60)
@vary_on_headers("User-Agent")
def menu(request: HttpRequest) -> HttpResponse:
    """Show a menu that fits the device."""
    return HttpResponse(f"Menu: {device(request)}")


def by_device(get_response: View) -> View:
    """Middleware that leaves of the header what the answer depends on."""

    def ask(request: HttpRequest) -> HttpResponse:
        request.META["HTTP_USER_AGENT"] = device(request)
        return get_response(request)

    return ask


# --8<-- [end:vary]

urlpatterns = [
    path("catalog/", catalog),
    path("certificates/", certificates),
    path("certificates/tagged/", certificates_by_tag),
]
