"""Whole pages that are kept: for whom, under which key, and what they give away."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING
from uuid import uuid4

from django.contrib.auth.decorators import login_not_required, login_required
from django.core.cache import cache
from django.http import (
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render
from django.urls import include, path
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.vary import vary_on_cookie

from lab.academy.models import Course

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.django_app.authentication import SignedIn


# --8<-- [start:shared]
@login_not_required
@cache_page(60)
def courses(request: HttpRequest) -> HttpResponse:
    """Show the published courses; everybody gets the same page."""
    shown = Course.objects.filter(published=True)
    return render(request, "caching/courses.html", {"courses": shown})


# --8<-- [end:shared]


# --8<-- [start:wrong_personal]
@cache_page(60)
def wrong_progress(request: SignedIn) -> HttpResponse:
    """Show how far somebody is; whoever asks has signed in."""
    name, joined = request.user.first_name, request.user.learner.enrollments.count()
    return HttpResponse(f"{name}, you are in {joined} courses.")


# --8<-- [end:wrong_personal]


# --8<-- [start:wrong_order]
@login_not_required
@cache_page(60)
@login_required
def wrong_order(request: SignedIn) -> HttpResponse:
    """Show a page for which a visitor has to sign in."""
    return HttpResponse(f"Your address: {request.user.email}")


# --8<-- [end:wrong_order]


# --8<-- [start:by_cookie]
@cache_page(60)
@vary_on_cookie
def progress(request: SignedIn) -> HttpResponse:
    """Show how far somebody is; an entry for each cookie."""
    name, joined = request.user.first_name, request.user.learner.enrollments.count()
    return HttpResponse(f"{name}, you are in {joined} courses.")


# --8<-- [end:by_cookie]


# --8<-- [start:private]
@cache_page(60)
@cache_control(private=True, max_age=60)
def private_progress(request: SignedIn) -> HttpResponse:
    """Show how far somebody is; only their browser may keep it."""
    name, joined = request.user.first_name, request.user.learner.enrollments.count()
    return HttpResponse(f"{name}, you are in {joined} courses.")


# --8<-- [end:private]


# --8<-- [start:me]
@never_cache
@login_not_required
def me(request: HttpRequest) -> JsonResponse:
    """Say who asks; a script on the kept page reads it."""
    user = request.user
    return JsonResponse({"name": user.first_name if user.is_authenticated else None})


# --8<-- [end:me]


# --8<-- [start:wrong_form]
@login_not_required
@cache_page(60)
def wrong_form(request: HttpRequest) -> HttpResponse:
    """Show a form, with a token against forged requests in it."""
    if request.method == "POST":
        return HttpResponse("Thank you.")
    return render(request, "caching/form.html")


# --8<-- [end:wrong_form]


# --8<-- [start:wrong_cookie]
@login_not_required
@cache_page(60)
def wrong_visitor(request: HttpRequest) -> HttpResponse:
    """Give each visitor a number."""
    response = HttpResponse("Welcome.")
    response.set_cookie("visitor", uuid4().hex)
    return response


# --8<-- [end:wrong_cookie]


# --8<-- [start:plain]
def cached_without_query(
    view: Callable[..., HttpResponse],
) -> Callable[..., HttpResponse]:
    """Return a view whose page is kept only for the address without a query."""
    kept = cache_page(60)(view)

    @wraps(view)
    def choose(request: HttpRequest) -> HttpResponse:
        return (view if request.GET else kept)(request)

    return choose


# --8<-- [end:plain]


# --8<-- [start:versioned]
def show_titles(request: HttpRequest) -> HttpResponse:
    """Show the titles of the published courses."""
    shown = Course.objects.filter(published=True).values_list("title", flat=True)
    return HttpResponse(", ".join(shown))


@login_not_required
def titles(request: HttpRequest) -> HttpResponse:
    """Show them, from the pages of the current version."""
    version = cache.get_or_set("titles:version", 1, timeout=None)
    return cache_page(60, key_prefix=f"titles:{version}")(show_titles)(request)


def forget_titles() -> None:
    """Let nobody get the pages that are kept now."""
    cache.get_or_set("titles:version", 1, timeout=None)
    cache.incr("titles:version")


# --8<-- [end:versioned]


# --8<-- [start:server_only]
@login_not_required
@cache_page(60)
@cache_control(max_age=0)
def only_here(request: HttpRequest) -> HttpResponse:
    """Show a page that the server keeps for a minute, and browsers do not."""
    return show_titles(request)


# --8<-- [end:server_only]


@login_not_required
@cache_page(60)
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Send the titles piece by piece."""
    return StreamingHttpResponse(course.title for course in Course.objects.all())


@login_not_required
@cache_page(60)
def moved(request: HttpRequest) -> HttpResponse:
    """Send visitors of an old address to the new one, if there is a course."""
    return redirect(f"/{Course.objects.earliest('pk').slug}/")


@login_not_required
@cache_page(60)
def gone(request: HttpRequest) -> HttpResponse:
    """Say that nothing is here."""
    return HttpResponse(Course.objects.count(), status=404)


urlpatterns = [
    path("all-courses/", courses),
    path("progress/wrong/", wrong_progress),
    path("progress/", progress),
    path("progress/private/", private_progress),
    path("address/", wrong_order),
    path("me/", me),
    path("form/", wrong_form),
    path("welcome/", wrong_visitor),
    path("plain/", login_not_required(cached_without_query(show_titles))),
    path("titles/", titles),
    path("only-here/", only_here),
    path("export/", export),
    path("moved/", moved),
    path("gone/", gone),
    path("", include("lab.urls")),
]
