"""What Django sends to Valkey or Redis, and how what it keeps is written."""

from __future__ import annotations

import json
import zlib
from typing import Any, ClassVar

from redis import ConnectionPool


# --8<-- [start:settings]
def on_server(url: str, **options: Any) -> dict[str, Any]:
    """Return the settings of a cache on a Valkey or Redis server."""
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": url,  # redis://name:password@host:6379/0
        "TIMEOUT": 300,  # seconds; None keeps an entry for ever
        "KEY_PREFIX": "academy",  # if another site uses the server too
        "OPTIONS": options,  # for redis-py's connections
    }


# --8<-- [end:settings]


# --8<-- [start:wrong_trust]
class Letter:
    """Something that names, as its way to be loaded, a function to call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("I run in your web process",)


# --8<-- [end:wrong_trust]


# --8<-- [start:json]
class JSONSerializer:
    """Writes values as JSON: what is loaded is data, never code."""

    def dumps(self, value: Any) -> bytes | int:
        """Return what is stored; integers as they are, for incr()."""
        if type(value) is int:
            return value
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()

    def loads(self, data: bytes) -> Any:
        """Return the value."""
        return json.loads(data)


# --8<-- [end:json]


# --8<-- [start:compressed]
class CompressedJSON(JSONSerializer):
    """Writes JSON; a value of a kilobyte or more is compressed."""

    def dumps(self, value: Any) -> bytes | int:
        """Return what is stored."""
        data = super().dumps(value)
        if isinstance(data, int) or len(data) < 1024:
            return data
        return b"z" + zlib.compress(data)  # no JSON begins with z

    def loads(self, data: bytes) -> Any:
        """Return the value."""
        return super().loads(zlib.decompress(data[1:]) if data[:1] == b"z" else data)


# --8<-- [end:compressed]


# --8<-- [start:pool]
class SharedPool(ConnectionPool):
    """One pool for each URL, in a process; the options of the first call count."""

    pools: ClassVar[dict[str, SharedPool]] = {}

    @classmethod
    def from_url(cls, url: str, **options: Any) -> SharedPool:
        """Return the pool of a server; Django asks in each thread or request."""
        if url not in cls.pools:
            cls.pools.setdefault(url, super().from_url(url, **options))
        return cls.pools[url]


# --8<-- [end:pool]
