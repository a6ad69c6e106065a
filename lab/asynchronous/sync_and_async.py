"""Both sides of the border between sync and async code, and middleware that stands on either."""

from __future__ import annotations

import asyncio
import os
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from asgiref.sync import (
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.utils.decorators import sync_and_async_middleware

from lab.asynchronous.upstream import aask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest

    Handler = Callable[[HttpRequest], Any]


# --8<-- [start:adapters]
def thread() -> str:
    """Say whether this is the thread that the program began in."""
    return (
        "main" if threading.current_thread() is threading.main_thread() else "another"
    )


async def grade() -> int:
    """Stand in for code that only exists as a coroutine."""
    await asyncio.sleep(0)
    return 17


async def report() -> str:
    """Call sync code from async code."""
    return f"loop in {thread()}, sync code in {await sync_to_async(thread)()}"


def command() -> int:
    """Call async code from sync code."""
    return async_to_sync(grade)()


# --8<-- [end:adapters]


# --8<-- [start:meeting]
meeting = threading.Barrier(2)


def meet() -> bool:
    """Wait until two threads are here at the same moment, or for half a second."""
    try:
        meeting.wait(0.5)
    except threading.BrokenBarrierError:
        meeting.reset()
        return False
    return True


async def meet_twice(*, thread_sensitive: bool) -> bool:
    """Call it twice at once, and say whether the two calls met."""
    call = sync_to_async(meet, thread_sensitive=thread_sensitive)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(call()) for _ in range(2)]
    return all(task.result() for task in calls)


# --8<-- [end:meeting]


@login_not_required
async def one_request(request: HttpRequest) -> JsonResponse:
    """Call ``meet`` twice in one request."""
    sensitive = request.GET["sensitive"] == "true"
    return JsonResponse({"met": await meet_twice(thread_sensitive=sensitive)})


@login_not_required
async def one_of_two(request: HttpRequest) -> JsonResponse:
    """Call ``meet`` once; another request calls it as well."""
    return JsonResponse({"met": await sync_to_async(meet)()})


# --8<-- [start:connections]
def session() -> int:
    """Return the number of this connection's process in the server."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@login_not_required
async def sessions(request: HttpRequest) -> JsonResponse:
    """Say how many connections three queries at once use."""
    sensitive = request.GET["sensitive"] == "true"
    call = sync_to_async(session, thread_sensitive=sensitive)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call()) for _ in range(3)]
    return JsonResponse({"connections": len({task.result() for task in tasks})})


# --8<-- [end:connections]


# --8<-- [start:context]
course: ContextVar[str] = ContextVar("course", default="none")
desk = threading.local()


def move(to: str) -> tuple[str, str]:
    """Return the values that this function finds, and set both to another."""
    found = course.get(), getattr(desk, "course", "none")
    course.set(to)
    desk.course = to
    return found


# --8<-- [end:context]


# --8<-- [start:both]
@sync_and_async_middleware
def room(get_response: Handler) -> Handler:
    """Say in a header which class room answered, on either side of the border."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            response: HttpResponse = await get_response(request)
            response["X-Room"] = "12"
            return response

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        response["X-Room"] = "12"
        return response

    return middleware


# --8<-- [end:both]


# --8<-- [start:class]
class Room:
    """The same as a class."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        """Handle a request; on the async side return what is to be awaited."""
        if self.is_async:
            return self.acall(request)
        return self.mark(self.get_response(request))

    async def acall(self, request: HttpRequest) -> HttpResponse:
        """Handle a request on the async side."""
        return self.mark(await self.get_response(request))

    def mark(self, response: HttpResponse) -> HttpResponse:
        """Put the header on."""
        response["X-Room"] = "12"
        return response


# --8<-- [end:class]


@login_not_required
async def plain(request: HttpRequest) -> JsonResponse:
    """Answer at once."""
    return JsonResponse({"ok": True})


@login_not_required
async def held(request: HttpRequest) -> JsonResponse:
    """Wait for another service."""
    return JsonResponse({"got": await aask(f"{os.environ['UPSTREAM_URL']}/held/it")})


urlpatterns = [
    path("one/", one_request),
    path("two/", one_of_two),
    path("sessions/", sessions),
    path("plain/", plain),
    path("held/", held),
]
