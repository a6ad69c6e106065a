"""Ask the lab in this container whether it is ready: ``python -m lab.docker.healthcheck``."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from http.client import HTTPConnection


# --8<-- [start:ask]
def ask(host: str, port: int = 8000) -> int:
    """Return the status of the readiness check; raise OSError if nobody answers.

    Args:
        host: A name of the site: the lab refuses others.
        port: Where the server of this container listens.
    """
    with closing(HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        connection.request("GET", "/health/", headers={"Host": host})
        return connection.getresponse().status


# --8<-- [end:ask]

if __name__ == "__main__":
    name = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].lstrip(".")
    sys.exit(ask(name) != 200)
