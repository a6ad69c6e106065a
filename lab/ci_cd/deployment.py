"""Replace servers while visitors come, and choose who gets what is new."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.ci_cd.proxy import Proxy, point
from lab.docker.healthcheck import ask

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping, Sequence


class NotReadyError(Exception):
    """A new server did not become ready; the servers of the proxy's list go on serving."""


# --8<-- [start:server]
class Server:
    """A process that serves the lab on a port of its own."""

    def __init__(self, port: int, *arguments: str, **variables: str) -> None:
        self.port, self.name = port, f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "gunicorn", "--bind", self.name, *arguments]
        self.process = subprocess.Popen(command, env={**os.environ, **variables})

    def ready(self, within: float) -> bool:
        """Wait until it says that it can serve; return whether it did in time."""
        end = time.monotonic() + within
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(OSError):
                if ask("127.0.0.1", self.port) == 200:  # GET /health/
                    return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Ask it to finish what it has begun and to end; wait until it has."""
        self.process.terminate()
        self.process.wait()


# --8<-- [end:server]


# --8<-- [start:roll]
def roll(
    proxy: Proxy,
    old: Sequence[Server],
    start: Callable[[], Server],
    *,
    check: bool = True,  # both may be left out
    drain: bool = True,  # to see what it costs
    patience: float = 30,
) -> list[Server]:
    """Replace one server after the other, and stop at the first that is not ready."""
    serving = list(old)
    for place, leaving in enumerate(old):
        coming = start()
        if check and not coming.ready(patience):
            coming.stop()
            raise NotReadyError("the new server is not ready")
        serving[place] = coming
        if not drain:
            leaving.stop()  # the proxy does not know yet
        point(proxy.servers, *(server.name for server in serving))
        if drain:
            proxy.drain(leaving.name, seconds=30)
            leaving.stop()
    return serving


# --8<-- [end:roll]


# --8<-- [start:wrong_roll]
def wrong_roll(
    proxy: Proxy, old: Sequence[Server], start: Callable[[], Server]
) -> list[Server]:
    """Restart one server after the other."""
    serving = list(old)
    for place, leaving in enumerate(old):
        leaving.stop()
        serving[place] = start()
        point(proxy.servers, *(server.name for server in serving))
    return serving


# --8<-- [end:wrong_roll]


# --8<-- [start:wrong_in_share]
def wrong_in_share(who: str, percent: int) -> bool:
    """Return whether somebody belongs to the part that gets the new release."""
    return hash(who) % 100 < percent


# --8<-- [end:wrong_in_share]


# --8<-- [start:in_share]
def in_share(who: str, percent: int, what: str) -> bool:
    """Return whether somebody belongs to the part that gets what is new."""
    digest = hashlib.sha256(f"{what}:{who}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < percent


# --8<-- [end:in_share]


# --8<-- [start:flag]
@dataclass(frozen=True)
class Flag:
    """A feature that is deployed, and released to a part of the people."""

    name: str
    percent: int
    remove_by: datetime.date

    def on(self, who: str) -> bool:
        """Return whether somebody has the feature."""
        return in_share(who, self.percent, self.name)


def overdue(flags: Mapping[str, Flag], today: datetime.date) -> list[str]:
    """Return the flags that should be gone: a test fails while there are any."""
    return [name for name, flag in flags.items() if flag.remove_by < today]


# --8<-- [end:flag]
