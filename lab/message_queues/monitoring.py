"""How long a queue is, how old its oldest message, and whether anybody works on it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.signals import before_task_publish
from kombu.connection import Connection

from lab.celery import app

if TYPE_CHECKING:
    from redis import Redis


# --8<-- [start:stamp]
@before_task_publish.connect
def stamp(headers: dict[str, Any], **info: Any) -> None:
    """Note in the message when it was sent."""
    headers.setdefault("sent_at", time.time())


# --8<-- [end:stamp]


# --8<-- [start:valkey]
def length(server: Redis, queue: str) -> int:
    """Return how many messages of a queue no worker has fetched."""
    return int(server.llen(queue))


def oldest(server: Redis, queue: str) -> float:
    """Return for how many seconds the next message has waited; 0 if there is none."""
    message = server.lindex(queue, -1)  # kombu pushes left and pops right
    if message is None:
        return 0
    return time.time() - float(json.loads(message)["headers"]["sent_at"])


# --8<-- [end:valkey]


# --8<-- [start:rabbitmq]
def state(url: str, queue: str) -> tuple[int, int]:
    """Return how many messages of a queue are ready, and how many consumers it has."""
    with Connection(url) as connection, connection.channel() as channel:
        found = channel.queue_declare(queue, passive=True)
    return found.message_count, found.consumer_count


# --8<-- [end:rabbitmq]


# --8<-- [start:workers]
def workers() -> int:
    """Return how many workers answer within a second."""
    return len(app.control.ping(timeout=1))


def in_hand() -> dict[str, int]:
    """Return how many tasks the workers do now, and how many they hold for later."""
    ask = app.control.inspect(timeout=1)
    return {
        "active": sum(map(len, (ask.active() or {}).values())),
        "reserved": sum(map(len, (ask.reserved() or {}).values())),
    }


# --8<-- [end:workers]


@shared_task
def slow(seconds: float) -> None:
    """Take a while."""
    time.sleep(seconds)


# --8<-- [start:alarm]
def alarms(server: Redis, queue: str, limit: float = 60) -> list[str]:
    """Return what somebody has to look at now."""
    found = []
    if (age := oldest(server, queue)) > limit:
        found.append(f"the oldest message has waited {age / 60:.0f} minutes")
    if not workers():
        found.append("no worker answers")
    if parked := length(server, f"{queue}.parked"):
        found.append(f"failed for good: {parked}")
    return found


# --8<-- [end:alarm]
