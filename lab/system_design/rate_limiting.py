"""Four ways to count how often a client may ask, on one Valkey that all processes share.

``now`` is a time in seconds. Whoever calls takes it from one clock: the server's own (``TIME``), or
machines whose clocks are kept together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis


# --8<-- [start:wrong_window]
def wrong_window(
    store: Redis, client: str, limit: int, period: int, now: float
) -> bool:
    """Return whether the client may ask: count, compare, write."""
    key = f"limit:{client}:{int(now // period)}"
    number = int(store.get(key) or 0)
    if number >= limit:
        return False
    store.set(key, number + 1, ex=2 * period)
    return True


# --8<-- [end:wrong_window]


# --8<-- [start:fixed_window]
def fixed_window(
    store: Redis, client: str, limit: int, period: int, now: float
) -> bool:
    """Return whether the client may ask: so often in each period of the clock."""
    key = f"limit:{client}:{int(now // period)}"
    with store.pipeline(transaction=True) as pipe:
        pipe.incr(key)
        pipe.expire(key, 2 * period)
        number, _ = pipe.execute()
    return bool(number <= limit)


# --8<-- [end:fixed_window]


# --8<-- [start:sliding_log]
SLIDING_LOG = """
local now, period, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - period)
if redis.call('ZCARD', KEYS[1]) >= limit then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[4])
redis.call('EXPIRE', KEYS[1], period)
return 1
"""


def sliding_log(
    store: Redis, client: str, limit: int, period: int, now: float, request: str
) -> bool:
    """Return whether the client may ask: so often in any period, whenever it begins."""
    values = now, period, limit, request
    return bool(store.eval(SLIDING_LOG, 1, f"limit:{client}", *values))


# --8<-- [end:sliding_log]


# --8<-- [start:token_bucket]
BUCKET = """
local now, rate, size = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(kept[1]) or size, tonumber(kept[2]) or now
tokens = math.min(size, tokens + math.max(0, now - at) * rate)
local allowed = tokens >= 1
if allowed then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', math.max(now, at))
redis.call('EXPIRE', KEYS[1], math.ceil(size / rate))
return allowed and 1 or 0
"""


def token_bucket(store: Redis, client: str, size: int, rate: float, now: float) -> bool:
    """Return whether the client may ask: a bucket of tokens fills at a steady rate."""
    return bool(store.eval(BUCKET, 1, f"limit:{client}", now, rate, size))


# --8<-- [end:token_bucket]
