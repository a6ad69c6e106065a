"""What the pages on message queues have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu.connection import Connection

from lab.asynchronous.upstream import Upstream, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def printer() -> Iterator[Upstream]:
    """The print shop: it prints what a test releases."""
    with running() as service:
        yield service


@pytest.fixture
def connection(rabbitmq: str) -> Iterator[Connection]:
    """A connection to RabbitMQ."""
    with Connection(rabbitmq) as connection:
        yield connection
