"""Ask servers behind a balancer, with cookies, as a browser does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

SERVED = {"DJANGO_SETTINGS_MODULE": "tests.lab.system_design.served"}


@dataclass
class Answer:
    """What came back."""

    status: int
    text: str
    server: str | None


@dataclass
class Visitor:
    """Somebody with a browser that keeps cookies; a connection for each request."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"  # where they come from

    def ask(self, path: str, body: str | None = None) -> Answer:
        """Ask for a path: with GET, or with POST if there is a body."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=30, source_address=(self.address, 0))
        headers = {**self.headers, "Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie", []):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
                if "max-age=0" in cookie.casefold():
                    del self.cookies[name]
            return Answer(answer.status, answer.read().decode(), answer.getheader("X-Server"))
        finally:
            connection.close()


@contextmanager
def together(*servers: AbstractContextManager[str]) -> Iterator[list[str]]:
    """Start servers at the same time, for each takes seconds; yield the host and the port of each."""
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:
            urls = list(pool.map(stack.enter_context, servers))
        yield [name(url) for url in urls]


def name(url: str) -> str:
    """Return the host and the port of a URL."""
    return urlsplit(url).netloc
