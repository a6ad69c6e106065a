"""Exchanges, queues and acknowledgments of a RabbitMQ server, as Python sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.messaging import Producer

if TYPE_CHECKING:
    from amqp.channel import Channel


# --8<-- [start:declare]
def declare(channel: Channel, academy: str = "academy") -> dict[str, Queue]:
    """Make the exchange of the academy's events, and the queues of who wants them."""
    events = Exchange(academy, type="topic", durable=True)
    wants = {"letters": "enrollment.*", "reports": "#", "prizes": "*.certificate"}
    queues = {
        name: Queue(f"{academy}-{name}", events, routing_key=key, durable=True)
        for name, key in wants.items()
    }
    return {name: queue.bind(channel) for name, queue in queues.items()}


# --8<-- [end:declare]


# --8<-- [start:wrong_tell]
def wrong_tell(url: str, exchange: str, event: str, body: dict[str, Any]) -> None:
    """Publish an event."""
    with Connection(url) as connection, connection.channel() as channel:
        producer = Producer(channel, Exchange(exchange, type="topic"))
        producer.publish(body, routing_key=event)


# --8<-- [end:wrong_tell]


# --8<-- [start:tell]
class NotRoutedError(Exception):
    """No queue wanted the message, so the broker gave it back."""


def tell(url: str, exchange: str, event: str, body: dict[str, Any]) -> None:
    """Publish an event; return when the broker has it in a queue."""
    returned: list[str] = []

    def note(reason: object, exchange: str, key: str, message: object) -> None:
        returned.append(key)

    options = {"confirm_publish": True}
    with (
        Connection(url, transport_options=options) as connection,
        connection.channel() as channel,
    ):
        target = Exchange(exchange, type="topic")
        producer = Producer(channel, target, on_return=note)
        producer.publish(body, routing_key=event, mandatory=True, timeout=5)
    if returned:
        raise NotRoutedError(event)


# --8<-- [end:tell]


# --8<-- [start:quorum]
def replicated(name: str) -> Queue:
    """Return a queue that a cluster keeps on several nodes, always on disk."""
    return Queue(name, durable=True, queue_arguments={"x-queue-type": "quorum"})


# --8<-- [end:quorum]
