"""Coroutines, tasks, and what keeps them together."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from lab.asynchronous.upstream import aask

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterable,
    )

# --8<-- [start:log]
log: list[str] = []


async def grade(learner: str, ready: asyncio.Event) -> None:
    """Stand for a call to the service that keeps the grades."""
    log.append(f"{learner}: begins")
    try:
        await ready.wait()
        log.append(f"{learner}: ends")
    except asyncio.CancelledError:
        log.append(f"{learner}: canceled")
        raise


async def fail() -> None:
    """Stand for a call that fails."""
    raise LookupError("no such learner")


# --8<-- [end:log]


# --8<-- [start:wrong_lost]
async def waits_for(what: Awaitable[None], name: str) -> None:
    """Wait, and say what became of it."""
    try:
        await what
        log.append(f"{name}: is there")
    except asyncio.CancelledError:
        log.append(f"{name}: canceled")
        raise


async def wrong_lost() -> None:
    """Start four tasks, and keep none of them."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: log.append(context["message"]))
    asyncio.create_task(fail())  # noqa: RUF006
    asyncio.create_task(waits_for(asyncio.Future(), "nothing"))  # noqa: RUF006
    asyncio.create_task(waits_for(asyncio.sleep(0.01), "timer"))  # noqa: RUF006
    asyncio.create_task(waits_for(asyncio.sleep(60), "long timer"))  # noqa: RUF006
    await asyncio.sleep(0)
    gc.collect()  # Python does so now and then
    await asyncio.sleep(0.1)


# --8<-- [end:wrong_lost]


# --8<-- [start:keep]
background: set[asyncio.Task[None]] = set()


def keep(coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Start a task that may outlive the caller, and hold it until it is done."""
    task = asyncio.create_task(coroutine)
    background.add(task)
    task.add_done_callback(background.discard)
    return task


# --8<-- [end:keep]


# --8<-- [start:gathered]
async def gathered(ready: asyncio.Event) -> None:
    """Two calls, of which one fails, with gather."""
    try:
        await asyncio.gather(grade("Ama", ready), fail())
    except LookupError as error:
        log.append(f"caught: {error}")
    ready.set()
    await asyncio.sleep(0)
    log.append("next step")


# --8<-- [end:gathered]


# --8<-- [start:grouped]
async def grouped(ready: asyncio.Event) -> None:
    """Two calls, of which one fails, in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(grade("Ama", ready))
            group.create_task(fail())
    except* LookupError as errors:
        log.append(f"caught: {errors.exceptions}")
    ready.set()
    await asyncio.sleep(0)
    log.append("next step")


# --8<-- [end:grouped]


# --8<-- [start:bounded]
async def bounded(urls: Iterable[str], limit: int) -> list[str]:
    """Ask for all URLs, never more than so many at a time."""
    places = asyncio.Semaphore(limit)

    async def fetch(url: str) -> str:
        async with places:
            return await aask(url)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetch(url)) for url in urls]
    return [task.result() for task in tasks]


# --8<-- [end:bounded]


# --8<-- [start:queued]
async def queued(urls: Iterable[str], workers: int) -> list[str]:
    """Ask for all URLs with so many workers, in the order of the answers."""
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=workers)
    answers = []

    async def work() -> None:
        while (url := await queue.get()) is not None:
            answers.append(await aask(url))

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
        for url in urls:
            await queue.put(url)  # waits while the queue is full
        for _ in range(workers):
            await queue.put(None)  # the sign to stop
    return answers


# --8<-- [end:queued]


# --8<-- [start:pages]
@asynccontextmanager
async def connection() -> AsyncIterator[str]:
    """Open a connection, and close it whatever happens."""
    log.append("open")
    try:
        yield "connection"
    finally:
        await asyncio.sleep(0.01)  # closing may wait as well
        log.append("closed")


async def pages() -> AsyncGenerator[int, None]:
    """Fetch page after page over one connection."""
    async with connection():
        for number in range(1, 100):
            await asyncio.sleep(0)
            yield number


# --8<-- [end:pages]


# --8<-- [start:wrong_first]
async def wrong_first() -> None:
    """Read pages until the second."""
    async for number in pages():
        log.append(f"page {number}")
        if number == 2:
            break
    log.append("next step")
    await asyncio.sleep(0.1)
    log.append("step after that")


# --8<-- [end:wrong_first]


# --8<-- [start:first]
async def first() -> None:
    """Read pages until the second."""
    async with aclosing(pages()) as opened:
        async for number in opened:
            log.append(f"page {number}")
            if number == 2:
                break
    log.append("next step")


# --8<-- [end:first]


# --8<-- [start:context]
request_id: ContextVar[str] = ContextVar("request_id", default="-")


class WithRequest(logging.Filter):
    """Give each record the id of the request in which it was logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, with one more attribute."""
        record.request_id = request_id.get()
        return True


logger = logging.getLogger("lab.asynchronous.coroutines")


async def handle(number: str, url: str) -> None:
    """Handle one request."""
    request_id.set(number)
    logger.info("asks for %s", url.rpartition("/")[2])
    await aask(url)
    await asyncio.to_thread(logger.info, "has the answer")


# --8<-- [end:context]


async def all_handled(base: str, release: Callable[[str], None]) -> None:
    """Handle two requests, the second of which is answered first."""
    async with asyncio.TaskGroup() as group:
        kofi = group.create_task(handle("r1", f"{base}/held/kofi"))
        ama = group.create_task(handle("r2", f"{base}/held/ama"))
        release("ama")
        await ama
        release("kofi")
        await kofi
    logger.info("both are done")
