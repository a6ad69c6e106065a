"""An HTTP exchange: the request and the response as they went over the wire."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

# What the server's version, the clock or chance decides; the rest is recorded as it was.
UNSTABLE = (
    (re.compile(r"(?m)^(Set-Cookie:)  +"), r"\1 "),  # some releases of Django send two spaces
    (re.compile(r"(?m)^(Date|Expires): .*"), r"\1: …"),
    (re.compile(r"(?m)^(Server: ).*"), r"\1…"),
    (re.compile(r"(csrftoken|sessionid)=[^;\n]{8,}"), r"\1=…"),
    (re.compile(r"expires=[^;]*GMT"), "expires=…"),
    (re.compile(r'(name="csrfmiddlewaretoken" value=)"[^"]*"'), r'\1"…"'),
    (re.compile(r"(csrfmiddlewaretoken=)[^&\s]+"), r"\1…"),
)


class Exchange:
    """One request and its response.

    ``request`` and ``response`` are the text that was sent and received; ``text`` is both, as recorded.
    """

    def __init__(self, request: str, response: str) -> None:
        self.request = request
        self.response = response

    @property
    def status(self) -> int:
        """The status code of the response."""
        return int(self.response.split(" ", 2)[1])

    @property
    def body(self) -> str:
        """The body of the response."""
        return self.response.partition("\n\n")[2]

    def headers(self, name: str) -> list[str]:
        """Return the values of a header of the response, one for each time it was sent."""
        head = self.response.partition("\n\n")[0]
        return [line.split(": ", 1)[1] for line in head.splitlines() if line.lower().startswith(name.lower() + ": ")]

    @property
    def text(self) -> str:
        """The exchange without what differs from run to run."""
        text = f"{self.request.rstrip()}\n\n{self.response.rstrip()}"
        for pattern, stable in UNSTABLE:
            text = pattern.sub(stable, text)
        return re.sub(r"(?m)^(Host: 127\.0\.0\.1|Host: localhost):\d+$", "Host: academy.example", text)


def exchange(address: str, method: str, path: str, headers: dict[str, str] | None = None, body: str = "") -> Exchange:
    """Send one request over a connection of its own and return it with the response.

    Args:
        address: The server, ``http://host:port``.
        method: The method, such as GET.
        path: The path and the query.
        headers: Further headers. Host, Content-Length and Connection are set here.
        body: The body, as text.

    Raises:
        OSError: The server cannot be reached.
    """
    server = urlsplit(address)
    content = body.encode()
    sent = {"Host": server.netloc, **(headers or {})}
    if content:
        sent["Content-Length"] = str(len(content))
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    with socket.create_connection((server.hostname or "", server.port or 80), timeout=30) as connection:
        connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + content)
        received = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    answer_head, _, answer_body = received.partition("\r\n\r\n")
    lines = [line for line in answer_head.split("\r\n") if line.lower() != "connection: close"]
    if re.search(r"(?im)^transfer-encoding: chunked", answer_head):
        answer_body = unchunk(answer_body)
    request = head.replace("\r\n", "\n") + "\n" + body
    return Exchange(request, "\n".join(lines) + "\n\n" + answer_body)


def unchunk(body: str) -> str:
    """Return a body that was sent in chunks (RFC 9112, section 7.1) in one piece."""
    data = body.encode()
    parts: list[bytes] = []
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            return b"".join(parts).decode()
        parts.append(data[:length])
        data = data[length + 2 :]
