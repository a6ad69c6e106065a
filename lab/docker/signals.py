"""A slow answer, and children that nobody waits for: what a container shows when it stops."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment


# --8<-- [start:application]
def application(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Enroll somebody, which takes as many seconds as the query says."""
    seconds = float(environ.get("QUERY_STRING") or 0)
    print(f"enrolling, {seconds} seconds", flush=True)
    time.sleep(seconds)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"enrolled\n"]


# --8<-- [end:application]


# --8<-- [start:zombies]
def zombies() -> list[str]:
    """Return the names of processes that ended and were not waited for."""
    stats = [file.read_text() for file in Path("/proc").glob("[0-9]*/stat")]
    return [stat.split()[1] for stat in stats if stat.split()[2] == "Z"]


if __name__ == "__main__":
    for _ in range(3):  # the shell ends at once, and leaves its child an orphan
        subprocess.run(["sh", "-c", "sleep 0.1 &"], check=True)
    time.sleep(0.5)
    print("zombies:", zombies())
# --8<-- [end:zombies]
