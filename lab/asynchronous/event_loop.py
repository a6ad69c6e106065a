"""One thread takes turns: handlers that give the event loop back, and a thread that watches it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import path

from lab.asynchronous.upstream import aask, ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from django.http import HttpRequest

    Application = Callable[[Any, Any, Any], Awaitable[None]]

logger = logging.getLogger("lab.loop")


# --8<-- [start:turns]
async def study(learner: str, lessons: int) -> None:
    """Hand the turn over after each lesson."""
    for lesson in range(1, lessons + 1):
        print(learner, lesson)
        await asyncio.sleep(0)  # waits for nothing, and is a turn all the same


async def noted() -> None:
    """Wait for nothing."""


async def cram(learner: str, lessons: int) -> None:
    """Await, and keep the turn."""
    for lesson in range(1, lessons + 1):
        print(learner, lesson)
        await noted()


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines on one loop."""
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)


# --8<-- [end:turns]


def upstream(milliseconds: str) -> str:
    """Return the URL of a slow server's answer."""
    return f"{os.environ['UPSTREAM_URL']}/{milliseconds}/grades"


def compute(milliseconds: int) -> int:
    """Keep a processor busy, in Python, for so long; return the number of steps."""
    steps, end = 0, time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        steps += 1
    return steps


# --8<-- [start:health]
@login_not_required
async def health(request: HttpRequest) -> JsonResponse:
    """Say that this process answers."""
    return JsonResponse({"status": "ok"})


# --8<-- [end:health]


# --8<-- [start:client]
@login_not_required
async def report_with_client(request: HttpRequest) -> JsonResponse:
    """Fetch the grades with an async client."""
    return JsonResponse({"grades": await aask(upstream(request.GET["ms"]))})


# --8<-- [end:client]


# --8<-- [start:thread]
@login_not_required
async def report_in_thread(request: HttpRequest) -> JsonResponse:
    """Fetch the grades with a client that blocks a thread, and not this one."""
    grades = await asyncio.to_thread(ask, upstream(request.GET["ms"]))
    return JsonResponse({"grades": grades})


# --8<-- [end:thread]


@login_not_required
async def rank_in_thread(request: HttpRequest) -> JsonResponse:
    """Compute in a thread of this process."""
    steps = await asyncio.to_thread(compute, int(request.GET["ms"]))
    return JsonResponse({"done": steps > 0})


# --8<-- [start:process]
def follow() -> None:
    """End this worker process when its server is gone, however the server went."""
    server = parent_process()

    def wait() -> None:
        if server:
            server.join()
            os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


@cache
def processes() -> ProcessPoolExecutor:
    """Return the pool of this server, made when it is first needed."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=follow)


@login_not_required
async def rank_in_process(request: HttpRequest) -> JsonResponse:
    """Compute in another process."""
    loop = asyncio.get_running_loop()
    milliseconds = int(request.GET["ms"])
    steps = await loop.run_in_executor(processes(), compute, milliseconds)
    return JsonResponse({"done": steps > 0})


# --8<-- [end:process]

urlpatterns = [
    path("health/", health),
    path("client/", report_with_client),
    path("thread/", report_in_thread),
    path("rank-thread/", rank_in_thread),
    path("rank-process/", rank_in_process),
]


# --8<-- [start:watch]
def watch(loop: asyncio.AbstractEventLoop, thread: int, limit: float) -> None:
    """Log where the loop's thread is while the loop gives no sign of life."""
    while not loop.is_closed():
        alive = threading.Event()
        with suppress(RuntimeError):  # it was closed meanwhile
            loop.call_soon_threadsafe(alive.set)
        if not alive.wait(limit) and not loop.is_closed():
            stack = traceback.format_stack(sys._current_frames()[thread])
            logger.warning("no turn for %g s\n%s", limit, stack[-1].rstrip())
        time.sleep(limit)


def watched(application: Application, limit: float = 0.1) -> Application:
    """Return an ASGI application whose first request starts the watch."""
    started: list[threading.Thread] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        if not started:
            place = (asyncio.get_running_loop(), threading.get_ident(), limit)
            started.append(threading.Thread(target=watch, args=place, daemon=True))
            started[0].start()
        await application(scope, receive, send)

    return inner


# --8<-- [end:watch]
