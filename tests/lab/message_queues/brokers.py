"""What a broker holds, as the broker itself sees it, and what a worker is told about it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from amqp.exceptions import NotFound

from lab.celery import app

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from tests.lab.workers import Worker

    Starts = Callable[..., AbstractContextManager[Worker]]

BROKERS = pytest.mark.parametrize("broker", ["valkey", "rabbitmq"], indirect=True)

# Valkey: messages that nobody acknowledged come back after a second, and not after an hour.
SOON = {"visibility_timeout": 1, "unacked_restore_interval": 0.2, "unacked_restore_throttle": 1}


def settings(
    broker: str, options: Mapping[str, Any] | None = None, transport: Mapping[str, float] | None = None
) -> dict[str, str]:
    """Return the variables that give a worker these settings.

    Args:
        broker: The URL of the broker. Options of the transport are for Valkey.
        options: Settings whose names begin with CELERY_.
        transport: What Celery calls broker_transport_options.
    """
    values = {"CELERY_WORKER_LOST_WAIT": 1, **(options or {})}
    if broker.startswith("redis"):
        values["CELERY_BROKER_TRANSPORT_OPTIONS"] = dict(transport or {})
    return {
        "DJANGO_SETTINGS_MODULE": "tests.lab.message_queues.worker_settings",
        "WORKER_SETTINGS": json.dumps(values),
    }


def waiting(broker: str) -> int:
    """Return how many messages wait in the test's queue for a worker."""
    name = app.conf.task_default_queue
    with app.connection_for_read() as connection, connection.channel() as channel:
        if broker.startswith("redis"):
            return int(channel.client.llen(name))
        try:
            return int(channel.queue_declare(name, passive=True).message_count)
        except NotFound:  # nobody has sent anything yet
            return 0


def held_back(broker: str) -> int:
    """Return how many messages of the test's queue Valkey keeps for a worker that has not acknowledged them."""
    if not broker.startswith("redis"):
        return 0  # RabbitMQ has none when no worker is connected
    name = app.conf.task_default_queue.encode()
    with app.connection_for_read() as connection, connection.channel() as channel:
        return sum(name in message for message in channel.client.hvals("unacked"))


def log(printed: str) -> list[str]:
    """Return what a worker says about its tasks, without times, names of processes and the ids of tasks."""
    lines = []
    for line in printed.splitlines():
        if match := re.match(r"\[.*?: (\w+)/\S+\] (Task \S+?)\[[0-9a-f-]{36}\] (.*)", line):
            what = re.sub(r" in [\d.e-]+s\b", "", match[3])
            lines.append(f"{match[1]}: {match[2]} {what}")
    return lines


def sent(broker: str) -> list[str]:
    """Take all messages out of the test's queue; return the ids of their tasks, oldest first."""
    ids = []
    with (
        app.connection_for_read() as connection,
        connection.SimpleQueue(app.amqp.queues[app.conf.task_default_queue]) as queue,
    ):
        for _ in range(waiting(broker)):
            message = queue.get(timeout=5)
            ids.append(message.headers["id"])
            message.ack()
    return ids
