"""A slow server to wait for: each request says for how long.

    python -m lab.asynchronous.upstream 9000

GET /250/kofi answers "kofi" after 250 milliseconds, GET /held/kofi when a test says so:

    with running() as upstream:
        ask(f"{upstream.url}/250/kofi")         # blocks the thread until the answer is there
        await aask(f"{upstream.url}/250/kofi")  # the event loop goes on
        upstream.release("kofi")                # from any thread, before or after it was asked
        upstream.arrived(2)                     # returns when two requests have arrived

A request runs to its end even if the client has gone, as it does in most servers.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import urllib.request
from collections import defaultdict
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PATIENCE = 30  # seconds that a test waits for a request


class Upstream:
    """A server and what it has seen.

    Attributes:
        url: Where it listens, when it does.
        seen: The names that were asked for, in the order of arrival.
        done: The names whose work is finished, whether the client was there or not.
        most: How many requests were under way at one moment, at most.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[str] = []
        self.done: list[str] = []
        self.most = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.held: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.changed = threading.Condition()

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection."""
        over = asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
        with closing(writer), suppress(*over):
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode()
                head, path = text.lower(), text.split()[1]
                length = head.partition("\r\ncontent-length:")[2].split("\r\n")[0]
                await reader.readexactly(int(length or 0))
                body = (await self.work(path.strip("/"))).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
                )
                await writer.drain()
                if "\r\nconnection: close\r\n" in head:
                    break

    async def work(self, path: str) -> str:
        """Wait as long as the path says, and return the name in it."""
        wait, _, name = path.partition("/")
        with self.changed:
            self.seen.append(name)
            self.most = max(self.most, len(self.seen) - len(self.done))
            self.changed.notify_all()
        if wait == "held":
            await self.held[name].wait()
        else:
            await asyncio.sleep(int(wait) / 1000)
        with self.changed:
            self.done.append(name)
            self.changed.notify_all()
        return name

    async def serve(self, port: int = 0, ready: threading.Event | None = None) -> None:
        """Listen until ``stop`` is called or the task canceled; port 0 is a free one."""
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        # The queue of a thousand connections that come at once is long.
        server = await asyncio.start_server(
            self.answer, "127.0.0.1", port, backlog=1024
        )
        self.url = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
        if ready:
            ready.set()
        try:
            await self.stopping.wait()
        finally:
            # Accept no more, and let what was just accepted get its task: Python 3.11
            # does not close a connection that it accepts while the server closes.
            for listening in server.sockets:
                self.loop.remove_reader(listening.fileno())
            for _ in range(5):
                await asyncio.sleep(0)
            server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for _ in range(5):  # what was just closed leaves the loop
                await asyncio.sleep(0)

    def stop(self) -> None:
        """Stop listening, and close the connections."""
        assert self.loop  # noqa: S101  (it runs)
        self.loop.call_soon_threadsafe(self.stopping.set)

    def release(self, name: str) -> None:
        """Let the requests for /held/NAME be answered, those to come as well."""
        assert self.loop  # noqa: S101  (it runs)
        self.loop.call_soon_threadsafe(lambda: self.held[name].set())

    def release_all(self, names: Iterable[str]) -> None:
        """Let the requests for each of these names be answered."""
        for name in names:
            self.release(name)

    def arrived(self, count: int) -> None:
        """Return when so many requests have arrived in all."""
        self._wait(self.seen, count)

    def finished(self, count: int) -> None:
        """Return when the work of so many requests is done."""
        self._wait(self.done, count)

    def _wait(self, names: list[str], count: int) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: len(names) >= count, PATIENCE):
                raise TimeoutError(f"{len(names)} of {count}: {names}")


@contextmanager
def running() -> Iterator[Upstream]:
    """Run a server in a thread of its own, with an event loop of its own."""
    upstream, ready = Upstream(), threading.Event()

    thread = threading.Thread(
        target=lambda: asyncio.run(upstream.serve(ready=ready)), name="upstream"
    )
    thread.start()
    ready.wait(PATIENCE)
    try:
        yield upstream
    finally:
        upstream.stop()
        thread.join(PATIENCE)


def ask(url: str, timeout: float | None = None) -> str:
    """Send a request, and block this thread until the answer is there."""
    with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310
        return str(response.read(), "utf-8")


async def aask(url: str) -> str:
    """Send a request, and give the thread back until the answer is there."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        return (await reader.read()).partition(b"\r\n\r\n")[2].decode()
    finally:
        writer.close()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(Upstream().serve(int(sys.argv[1])))
