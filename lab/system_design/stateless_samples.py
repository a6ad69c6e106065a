"""What a process must not keep for itself, and where it belongs."""

from __future__ import annotations

from itertools import count

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.timezone import localdate
from django.views.decorators.csrf import csrf_exempt

from lab.academy.models import Learner

# --8<-- [start:wrong_ticket]
numbers = count(1)


@login_not_required
def wrong_ticket(request: HttpRequest) -> HttpResponse:
    """Hand out the next number of a queue."""
    return HttpResponse(f"{next(numbers)}")


# --8<-- [end:wrong_ticket]


# --8<-- [start:ticket]
@login_not_required
def ticket(request: HttpRequest) -> HttpResponse:
    """Hand out the next number of a queue."""
    cache.add("tickets", 0, timeout=None)
    return HttpResponse(f"{cache.incr('tickets')}")


# --8<-- [end:ticket]


# --8<-- [start:session]
@csrf_exempt
@login_not_required
def choose(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep a course in the session of this visitor."""
    request.session["course"] = slug
    return HttpResponse(f"chosen: {slug}")


@login_not_required
def chosen(request: HttpRequest) -> HttpResponse:
    """Show the course that this visitor has chosen."""
    return HttpResponse(f"chosen: {request.session.get('course', 'nothing')}")


# --8<-- [end:session]


# --8<-- [start:essay]
@csrf_exempt
@login_not_required
def essay(request: HttpRequest) -> HttpResponse:
    """Store an uploaded essay, or show it."""
    if request.method == "POST":
        default_storage.delete("essays/ama.txt")
        default_storage.save("essays/ama.txt", ContentFile(request.body))
        return HttpResponse("stored")
    if not default_storage.exists("essays/ama.txt"):
        return HttpResponse("no such essay", status=404)
    with default_storage.open("essays/ama.txt") as file:
        return HttpResponse(file.read())


# --8<-- [end:essay]


# --8<-- [start:wrong_midnight]
@login_not_required
def wrong_midnight(request: HttpRequest) -> HttpResponse:
    """What a timer in each process calls at midnight: a letter to each learner."""
    return HttpResponse(f"{Learner.objects.count()} letters")


# --8<-- [end:wrong_midnight]


# --8<-- [start:midnight]
@login_not_required
def midnight(request: HttpRequest) -> HttpResponse:
    """What a timer in each process calls at midnight: send the letters, once."""
    if not cache.add(f"letters:{localdate()}", "taken", timeout=86_400):
        return HttpResponse("0 letters")
    return HttpResponse(f"{Learner.objects.count()} letters")


# --8<-- [end:midnight]

urlpatterns = [
    path("wrong/ticket/", wrong_ticket),
    path("ticket/", ticket),
    path("choose/<slug:slug>/", choose),
    path("chosen/", chosen),
    path("essay/", essay),
    path("wrong/midnight/", wrong_midnight),
    path("midnight/", midnight),
]
