"""The same calls one after the other, in threads, and as coroutines on one thread."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lab.asynchronous.upstream import aask, ask

if TYPE_CHECKING:
    from collections.abc import Callable


# --8<-- [start:three_ways]
def one_after_another(urls: list[str]) -> list[str]:
    """Ask, wait for the answer, ask the next."""
    return [ask(url) for url in urls]


def in_threads(urls: list[str]) -> list[str]:
    """Let a thread of its own wait for each answer."""
    with ThreadPoolExecutor(max_workers=len(urls)) as pool:
        return list(pool.map(ask, urls))


async def as_coroutines(urls: list[str]) -> list[str]:
    """Let one thread wait for all answers."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(aask(url)) for url in urls]
    return [task.result() for task in tasks]


# --8<-- [end:three_ways]


# --8<-- [start:wrong_as_coroutines]
async def fetch(url: str) -> str:
    """Ask for one URL."""
    return ask(url)  # blocks


async def wrong_as_coroutines(urls: list[str]) -> list[str]:
    """Let one thread wait for all answers."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(url)) for url in urls]
    return [task.result() for task in tasks]


# --8<-- [end:wrong_as_coroutines]


# --8<-- [start:clocks]
def clocks(work: Callable[[], object]) -> tuple[float, float]:
    """Return how many seconds a call takes, and how many of them it computes."""
    start, computed = time.perf_counter(), time.thread_time()
    work()
    return time.perf_counter() - start, time.thread_time() - computed


# --8<-- [end:clocks]
