"""The map of the chapter: a queue in eight lines, and its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu.connection import Connection

from lab.celery import app
from scripts.pages import ROOT
from tests.lab.message_queues.brokers import BROKERS
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder


@BROKERS
@pytest.mark.services
def test_a_queue_is_the_same_on_both_brokers(broker: str, session: Callable[..., None]) -> None:
    with Connection(broker, transport_options={"confirm_publish": True}) as connection:
        name = app.conf.task_default_queue
        with connection.SimpleQueue(name) as queue:
            queue.clear()
        session("index_peak.pycon", SimpleQueue=lambda _: connection.SimpleQueue(name))
        with connection.SimpleQueue(name) as queue:
            queue.queue.delete()


def test_the_picture(record: Recorder) -> None:
    dot = (ROOT / "lab/message_queues/diagrams/index_queue.dot").read_text(encoding="utf-8")
    record(
        "index_queue.svg",
        draw(
            dot,
            title="A message queue",
            description="A web process stores a row, sends a message to a broker and answers. "
            "The broker keeps messages in a queue and delivers them to workers. A worker acknowledges a message, "
            "or the message comes back. What has failed for good is parked for a person.",
        ),
    )
