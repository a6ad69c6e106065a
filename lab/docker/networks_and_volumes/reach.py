"""What comes of connecting to an address: ``python reach.py database 6379``."""

from __future__ import annotations

import socket
import sys


# --8<-- [start:reach]
def reach(host: str, port: int) -> str:
    """Connect, and return what came of it."""
    try:
        with socket.create_connection((host, port), timeout=3):
            return "connected"
    except socket.gaierror:
        return "no such name"
    except TimeoutError:
        return "no answer"
    except OSError:
        return "refused"  # there is such a host, and nobody listens


# --8<-- [end:reach]

if __name__ == "__main__":
    print(reach(sys.argv[1], int(sys.argv[2])))
