"""A proxy whose list of servers can change while it works.

``python -m lab.ci_cd.proxy academy-blue:8000`` starts it in a container, first with this server.
It is as small as a reader can follow: GET alone, a connection for each request, and no TLS.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, and the answer back."""

    server: Proxy

    # --8<-- [start:forward]
    def do_GET(self) -> None:
        """Pass a request on to the server that is chosen for it."""
        with (
            self.server.choose() as name,
            closing(HTTPConnection(name, timeout=30)) as server,
        ):
            try:
                server.request("GET", self.path, headers=dict(self.headers))
                answer = server.getresponse()
                body = answer.read()
            except (OSError, HTTPException):
                self.send_error(HTTPStatus.BAD_GATEWAY)  # 502: a lost request
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type", ""))
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Server", name)
            self.end_headers()
            self.wfile.write(body)

    # --8<-- [end:forward]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""


class Proxy(ThreadingHTTPServer):
    """Sends each request to one of the servers that a file lists, in turn."""

    request_queue_size = 128

    def __init__(self, servers: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.servers = servers
        self.turn = 0
        self.busy: Counter[str] = Counter()
        self.changed = threading.Condition()

    # --8<-- [start:choose]
    @contextmanager
    def choose(self) -> Iterator[str]:
        """Choose a server, which is busy with this request until the block ends."""
        with self.changed:
            names = self.servers.read_text().split()
            self.turn += 1
            name = names[self.turn % len(names)]
            self.busy[name] += 1
        try:
            yield name
        finally:
            with self.changed:
                self.busy[name] -= 1
                self.changed.notify_all()

    def drain(self, name: str, seconds: float) -> bool:
        """Wait until a server that left the list has answered; return whether it has."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.busy[name], seconds)

    # --8<-- [end:choose]


def point(servers: Path, *names: str) -> None:
    """Let the next request, and all after it, go to these servers."""
    following = servers.with_suffix(".next")
    following.write_text("\n".join(names))
    following.replace(servers)  # at once: nobody reads half a list


if __name__ == "__main__":
    file = Path("/tmp/servers")  # noqa: S108  (in a container of its own)
    if not file.exists():  # after a restart, the last switch counts
        point(file, *sys.argv[1:])
    Proxy(file, "0.0.0.0", 8000).serve_forever()  # noqa: S104  (its port is published)
