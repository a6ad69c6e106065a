"""A cache server that is full, and one with many keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

KILOBYTE = "x" * 1024


# --8<-- [start:limit]
def limit(server: Redis, megabytes: float, policy: str) -> None:
    """Let a server take this much more, and say what goes when it is full."""
    used = server.info("memory")["used_memory"]
    server.config_set("maxmemory", int(used + megabytes * 2**20))
    server.config_set("maxmemory-policy", policy)


# --8<-- [end:limit]


# --8<-- [start:wrong_keys]
def wrong_keys(server: Redis, pattern: str) -> Iterator[bytes | str]:
    """Yield the keys that match."""
    yield from server.keys(pattern)


# --8<-- [end:wrong_keys]


# --8<-- [start:scan]
def keys(server: Redis, pattern: str) -> Iterator[bytes | str]:
    """Yield the keys that match, some hundreds at a time."""
    yield from server.scan_iter(match=pattern, count=500)


# --8<-- [end:scan]
