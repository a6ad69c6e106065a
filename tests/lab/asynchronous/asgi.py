"""Requests to Django's ASGI application in this process: as a server makes them, and as AsyncClient does not.

AsyncClient leaves out the context in which each request has a thread of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.core.handlers.asgi import ASGIHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Visitor:
    """One request, its response as far as it was sent, and a connection that can be closed.

    Attributes:
        parts: The pieces of the body, in the order of arrival.
        status: The status of the response; 0 as long as there is none.
    """

    def __init__(self, url: str, **headers: str) -> None:
        self.url = urlsplit(url)
        self.headers = {"host": "testserver", **headers}
        self.status = 0
        self.parts: list[bytes] = []
        self.gone = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.asked = False

    @property
    def body(self) -> bytes:
        """What has arrived of the body."""
        return b"".join(self.parts)

    async def receive(self) -> dict[str, Any]:
        """Give the application the request, and later the news that the visitor has gone."""
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take a part of the response, when the visitor reads."""
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message.get("body"):
            self.parts.append(message["body"])

    async def ask(self, application: Callable[..., Any] | None = None) -> Visitor:
        """Send the request; return when the application has done with it."""
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "https",
            "path": self.url.path,
            "query_string": self.url.query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in self.headers.items()],
        }
        await (application or ASGIHandler())(scope, self.receive, self.send)
        return self


async def ask(url: str, application: Callable[..., Any] | None = None) -> bytes:
    """Return the body of the answer to one request."""
    visitor = await Visitor(url).ask(application)
    assert visitor.status == 200, visitor.body
    return visitor.body
