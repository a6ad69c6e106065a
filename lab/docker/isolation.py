"""What a process sees of its machine: ``python -m lab.docker.isolation``."""

from __future__ import annotations

import http.client
import os
import re
import socket
from contextlib import closing
from pathlib import Path


# --8<-- [start:look]
def look() -> dict[str, object]:
    """Return what this process sees of the machine it runs on."""
    status = Path("/proc/self/status").read_text()
    names = [path.name for path in Path("/proc").iterdir()]
    mask = re.search(r"CapEff:\s*(\w+)", status)
    return {
        "processes": sorted(int(name) for name in names if name.isdigit()),
        "host name": socket.gethostname(),
        "user": os.getuid(),
        "capabilities": int(mask[1], 16).bit_count() if mask else 0,
        "memory": memory(),
        "processors": processors(),
    }


# --8<-- [end:look]
CGROUPS = Path("/sys/fs/cgroup")


# --8<-- [start:limits]
def memory(cgroups: Path = CGROUPS) -> int | None:
    """Return how many bytes this container may use; None: no limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # v2, v1
        if (file := cgroups / name).exists():
            limit = file.read_text().strip()
            return None if limit == "max" or int(limit) > 2**60 else int(limit)
    return None


def processors(cgroups: Path = CGROUPS) -> float | None:
    """Return how much processor time a second it may use; None: no limit."""
    if (both := cgroups / "cpu.max").exists():  # v2: "50000 100000"
        quota, period = both.read_text().split()
    elif (v1 := cgroups / "cpu" / "cpu.cfs_quota_us").exists():
        quota = v1.read_text()
        period = v1.with_name("cpu.cfs_period_us").read_text()
    else:
        return None
    return None if quota.strip() in {"max", "-1"} else int(quota) / int(period)


# --8<-- [end:limits]


# --8<-- [start:wrong_socket]
def wrong_socket(path: str, address: str = "/var/run/docker.sock") -> bytes:
    """Ask the Docker Engine, which listens at this socket."""
    with closing(http.client.HTTPConnection("docker")) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(address)
        connection.request("GET", path)
        return connection.getresponse().read()


# --8<-- [end:wrong_socket]

if __name__ == "__main__":
    for name, value in look().items():
        print(f"{name}: {value}")
