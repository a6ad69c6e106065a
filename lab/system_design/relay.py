"""A relay of bytes: a balancer that reads no HTTP, and a network that can be cut.

with relaying("127.0.0.1:6379") as relay:
    Redis(port=relay.port)
    relay.cut()     # connections stay open, and nothing gets through any more
    relay.mend()    # connections that come from now on work again
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Relay:
    """Gives each connection to the next server, and copies bytes until it ends."""

    def __init__(self, *servers: str) -> None:
        self.servers = cycle(servers)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.name = f"127.0.0.1:{self.port}"
        self.through = threading.Event()
        self.through.set()
        self.open: list[socket.socket] = []

    # --8<-- [start:accept]
    def accept(self) -> None:
        """Take connections until the relay is closed."""
        with suppress(OSError):  # it is closed
            while True:
                client, _ = self.listening.accept()
                host, _, port = next(self.servers).rpartition(":")
                server = socket.create_connection((host, int(port)))
                self.open += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self.copy, args=(source, target)).start()

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        """Hand on what one side says, byte for byte."""
        with suppress(OSError):
            while data := source.recv(65536):
                if self.through.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    # --8<-- [end:accept]

    def cut(self) -> None:
        """Swallow what is sent from now on; nobody is told."""
        self.through.clear()

    def mend(self) -> None:
        """Hand on again what is sent."""
        self.through.set()

    def close(self) -> None:
        """End all connections."""
        for each in [self.listening, *self.open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def relaying(*servers: str) -> Iterator[Relay]:
    """Run a relay in a thread of its own."""
    relay = Relay(*servers)
    thread = threading.Thread(target=relay.accept)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
