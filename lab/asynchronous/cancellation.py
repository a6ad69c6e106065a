"""Waits that end: by a timeout, by a group, by whoever lost interest."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.asynchronous.upstream import aask, ask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# --8<-- [start:limited]
log: list[str] = []


async def fetch(url: str) -> str:
    """Ask another service."""
    log.append("asks")
    try:
        answer = await aask(url)
        log.append("reads the answer")
        return answer
    except asyncio.CancelledError:
        log.append("canceled at the await")
        raise
    finally:
        log.append("cleans up")


async def limited(work: Awaitable[str], seconds: float) -> str:
    """Wait for something, but no longer than that."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        return "no answer"


# --8<-- [end:limited]


# --8<-- [start:computing]
async def computing() -> str:
    """Compute for a while, then wait."""
    hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 300_000)
    log.append("computed")
    return await asyncio.sleep(60, "done")


# --8<-- [end:computing]


# --8<-- [start:wrong_retry]
async def wrong_retry(url: str) -> str:
    """Ask up to three times."""
    for _ in range(3):
        try:
            return await aask(url)
        except BaseException as error:
            log.append(f"once more, after {type(error).__name__}")
    return "given up"


# --8<-- [end:wrong_retry]


# --8<-- [start:retry]
async def retry(url: str) -> str:
    """Ask up to three times."""
    for _ in range(3):
        try:
            return await aask(url)
        except OSError as error:
            log.append(f"once more, after {type(error).__name__}")
    return "given up"


# --8<-- [end:retry]


# --8<-- [start:wrong_tidy]
async def wrong_tidy(url: str, farewell: str) -> str:
    """Ask, and say goodbye whatever happens."""
    try:
        return await aask(url)
    finally:
        await aask(farewell)


# --8<-- [end:wrong_tidy]


# --8<-- [start:tidy]
async def tidy(url: str, farewell: str) -> str:
    """Ask, and say goodbye whatever happens, but not for long."""
    try:
        return await aask(url)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await aask(farewell)


# --8<-- [end:tidy]


# --8<-- [start:pay]
paying: set[asyncio.Task[str]] = set()


async def pay(url: str) -> str:
    """Pay; who stops waiting does not stop the payment."""
    task = asyncio.create_task(fetch(url))
    paying.add(task)
    task.add_done_callback(paying.discard)
    return await asyncio.shield(task)


async def shop(url: str, release: Callable[[str], None]) -> None:
    """Wait for a payment, and then for the rest of it."""
    log.append(await limited(pay(url), 0.1))
    release("kofi")
    for task in set(paying):
        await task


# --8<-- [end:pay]


# --8<-- [start:report]
async def fail(error: Exception) -> None:
    """Stand for a call that fails."""
    raise error


async def calls(url: str) -> None:
    """Make three calls, of which two fail at once."""
    async with asyncio.TaskGroup() as group:
        group.create_task(fetch(url))
        group.create_task(fail(LookupError("no such learner")))
        group.create_task(fail(ConnectionError("reset")))


async def report(url: str) -> None:
    """Make them, and say what went wrong."""
    try:
        await calls(url)
    except* LookupError as errors:
        log.append(f"unknown: {errors.exceptions}")
    except* OSError as errors:
        log.append(f"unreachable: {errors.exceptions}")


# --8<-- [end:report]


# --8<-- [start:wrong_report]
async def wrong_report(url: str) -> None:
    """Make them, and say what went wrong."""
    try:
        await calls(url)
    except LookupError as error:
        log.append(f"unknown: {error}")


# --8<-- [end:wrong_report]


# --8<-- [start:wrong_in_thread]
def blocking(url: str, timeout: float | None = None) -> str:
    """Ask with a blocking library."""
    log.append("thread: asks")
    try:
        return ask(url, timeout)
    finally:
        log.append("thread: is free")


async def wrong_in_thread(url: str, release: Callable[[str], None]) -> None:
    """Wait for a thread, but not for long."""
    log.append(await limited(asyncio.to_thread(blocking, url), 0.1))
    log.append("loop: goes on")
    release("kofi")


# --8<-- [end:wrong_in_thread]


# --8<-- [start:in_thread]
async def in_thread(url: str) -> None:
    """Wait for a thread that does not wait for long."""
    log.append(await limited(asyncio.to_thread(blocking, url, 0.1), 60))
    log.append("loop: goes on")


# --8<-- [end:in_thread]
