"""A web service that wants its database at once: what starts before what."""

from __future__ import annotations

import socket
import time


# --8<-- [start:connect]
def connect(host: str, port: int) -> str:
    """Connect as a web service does when it starts: once, or not at all."""
    with socket.create_connection((host, port), timeout=5):
        return f"connected to {host}:{port}"


# --8<-- [end:connect]

if __name__ == "__main__":
    print(connect("database", 5432), flush=True)
    time.sleep(3600)
