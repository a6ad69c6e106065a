"""A load balancer that is small enough to read: no TLS, and a connection for each request."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What is said between two neighbors, and what this server says itself.
HOP_BY_HOP = {"connection", "keep-alive", "te", "transfer-encoding", "upgrade"}
OWN = {"content-length", "date", "server"}


# --8<-- [start:server]
@dataclass
class Server:
    """One of the servers behind the balancer."""

    name: str  # host:port
    healthy: bool = True
    busy: int = 0  # requests under way
    chosen: int = 0  # requests so far


# --8<-- [end:server]


# --8<-- [start:rules]
def in_turn(servers: list[Server], number: int, client: str) -> Server:
    """Round robin: the next one."""
    return servers[number % len(servers)]


def least_busy(servers: list[Server], number: int, client: str) -> Server:
    """Least connections: the one with the fewest requests under way."""
    start = number % len(servers)
    return min(servers[start:] + servers[:start], key=lambda server: server.busy)


def by_address(servers: list[Server], number: int, client: str) -> Server:
    """Sticky: the same one for each client address."""
    return servers[crc32(client.encode()) % len(servers)]


# --8<-- [end:rules]


class Balancer(ThreadingHTTPServer):
    """Sends each request to one of the healthy servers."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(
        self,
        *names: str,
        rule: Callable[[list[Server], int, str], Server] = in_turn,
        again: bool = False,
        patience: float = 30,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.servers = [Server(name) for name in names]
        self.rule = rule
        self.again, self.patience = again, patience
        self.number = -1
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    # --8<-- [start:choose]
    @contextmanager
    def choose(self, client: str, avoid: set[str]) -> Iterator[Server | None]:
        """Choose a server, which is busy with this request until the block ends."""
        with self.lock:
            self.number += 1
            able = [s for s in self.servers if s.healthy and s.name not in avoid]
            server = self.rule(able, self.number, client) if able else None
            if server:
                server.busy += 1
                server.chosen += 1
        try:
            yield server
        finally:
            if server:
                with self.lock:
                    server.busy -= 1

    # --8<-- [end:choose]

    # --8<-- [start:check]
    def check(self, path: str = "/health/", timeout: float = 2) -> None:
        """Ask every server whether it is ready; to be called every few seconds."""
        for server in self.servers:
            with closing(HTTPConnection(server.name, timeout=timeout)) as connection:
                try:
                    connection.request("GET", path)
                    server.healthy = connection.getresponse().status == HTTPStatus.OK
                except (OSError, HTTPException):
                    server.healthy = False

    # --8<-- [end:check]


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, and the answer back."""

    server: Balancer
    protocol_version = "HTTP/1.1"  # it keeps the client's connection open
    disable_nagle_algorithm = True

    # --8<-- [start:forward]
    def forward(self) -> None:
        """Pass the request on; a GET may be tried with another server."""
        client = self.client_address[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers = {n: v for n, v in headers.items() if n not in HOP_BY_HOP}
        heard = headers.get("x-forwarded-for")
        headers["x-forwarded-for"] = f"{heard}, {client}" if heard else client
        headers["x-forwarded-proto"] = "http"
        body = self.rfile.read(int(headers.get("content-length", 0)))
        tried: set[str] = set()
        while True:
            with self.server.choose(client, tried) as server:
                if server is None:
                    return self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
                try:
                    answer = self.ask(server, body, headers)
                except TimeoutError:
                    return self.send_error(HTTPStatus.GATEWAY_TIMEOUT)
                except (OSError, HTTPException):
                    if self.command != "GET" or not self.server.again:
                        return self.send_error(HTTPStatus.BAD_GATEWAY)
                    tried.add(server.name)
                else:
                    return self.reply(server, *answer)

    # --8<-- [end:forward]

    do_GET = do_POST = forward  # noqa: N815  (the names that the base class looks for)

    def ask(
        self, server: Server, body: bytes, headers: dict[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        """Send the request to a server; return the answer and its body."""
        with closing(
            HTTPConnection(server.name, timeout=self.server.patience)
        ) as connection:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer, answer.read()

    def reply(self, server: Server, answer: HTTPResponse, text: bytes) -> None:
        """Send a server's answer to the client."""
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Server", server.name)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def balancing(*names: str, **options: Any) -> Iterator[Balancer]:
    """Run a balancer in a thread of its own."""
    balancer = Balancer(*names, **options)
    thread = threading.Thread(target=balancer.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield balancer
    finally:
        balancer.shutdown()
        thread.join()
        balancer.server_close()
