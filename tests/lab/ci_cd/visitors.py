"""People who ask for a page all the time, while a test replaces what answers them."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Seen:
    """What visitors were answered: statuses, "lost" where there was no answer, and the servers that answered."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.servers: list[str] = []

    @property
    def sent(self) -> int:
        """Return how many requests were sent."""
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Return how many did not get a page."""
        return self.sent - self.statuses["200"]


def visit(url: str, headers: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Ask for a page; return the status and the server that answered."""
    try:
        with urlopen(Request(url, headers=dict(headers or {})), timeout=30) as response:  # noqa: S310  (of a test)
            response.read()
            return str(response.status), response.headers["X-Server"] or ""
    except HTTPError as error:
        with error:
            return str(error.code), ""
    except OSError:
        return "lost", ""


@contextmanager
def visitors(url: str, headers: Mapping[str, str] | None = None, *, every: float = 0.03) -> Iterator[Seen]:
    """Let somebody ask for a page every few hundredths of a second while the block runs.

    They come whether or not the one before has been answered. So a server that answers late is asked as often as
    one that refuses at once.
    """
    seen, over, lock = Seen(), threading.Event(), threading.Lock()

    def come() -> None:
        status, server = visit(url, headers)
        with lock:
            seen.statuses[status] += 1
            if server and server not in seen.servers:
                seen.servers.append(server)

    def bring() -> None:
        while not over.wait(every):
            pool.submit(come)

    with ThreadPoolExecutor(64) as pool:
        bringing = threading.Thread(target=bring)
        bringing.start()
        try:
            yield seen
        finally:
            over.set()
            bringing.join()
