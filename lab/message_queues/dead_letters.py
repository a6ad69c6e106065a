"""Messages that nobody can process: a place to park them, a look at them, another try."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from celery import shared_task
from celery.signals import task_failure
from kombu.entity import Queue

from lab.academy.models import Enrollment
from lab.celery import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amqp.channel import Channel
    from celery import Task
    from kombu.message import Message


# --8<-- [start:declare]
def declare(channel: Channel, name: str) -> tuple[Queue, Queue]:
    """Make a queue, and the one that its rejected messages go to."""
    parked = Queue(f"{name}.parked", durable=True)
    work = Queue(
        name,
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": 2,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": parked.name,
        },
    )
    made = work.bind(channel), parked.bind(channel)
    for queue in made:
        queue.declare()
    return made


# --8<-- [end:declare]


# --8<-- [start:wrong_handle]
def wrong_handle(message: Message) -> None:
    """Write a certificate's line; what fails may work later."""
    try:
        certificate = json.loads(message.body)
        print(certificate["name"].upper())
    except ValueError:
        message.requeue()
    else:
        message.ack()


# --8<-- [end:wrong_handle]


# --8<-- [start:handle]
def handle(message: Message) -> None:
    """Write a certificate's line; what is no JSON today is none tomorrow."""
    try:
        certificate = json.loads(message.body)
    except ValueError:
        message.reject()  # with a dead-letter exchange: parked
        return
    print(certificate["name"].upper())
    message.ack()


# --8<-- [end:handle]


# --8<-- [start:grade_letter]
@shared_task(autoretry_for=(OSError,), max_retries=2, default_retry_delay=0.1)
def grade_letter(enrollment: int) -> str:
    """Return the letter that tells a learner a grade."""
    seat = Enrollment.objects.select_related("learner").get(pk=enrollment)
    if seat.grade is None:
        raise ValueError("there is no grade yet")
    return f"Dear {seat.learner}, you have {seat.grade}."


# --8<-- [end:grade_letter]


# --8<-- [start:park]
@task_failure.connect
def park(
    sender: Task[..., Any], task_id: str, exception: Exception, **info: Any
) -> None:
    """Keep what has failed for good: the task, its arguments, the reason."""
    came_by = sender.request.delivery_info
    if not came_by:  # a hard time limit: the signal comes again, with the request
        return
    failed = {
        "task": sender.name,
        "args": info["args"],
        "kwargs": info["kwargs"],
        "error": f"{type(exception).__name__}: {exception}",
        "id": task_id,
    }
    with (
        app.connection_for_write() as broker,
        broker.SimpleQueue(f"{came_by['routing_key']}.parked") as queue,
    ):
        queue.put(failed)


# --8<-- [end:park]


# --8<-- [start:replay]
def parked(name: str) -> list[dict[str, Any]]:
    """Return what is parked; leave it there."""
    with app.connection_for_read() as broker, broker.SimpleQueue(name) as queue:
        messages = list(take(queue))
        for message in messages:
            message.requeue()
    return [message.payload for message in messages]


def replay(name: str) -> int:
    """Send what is parked to the workers again; return how many."""
    with app.connection_for_read() as broker, broker.SimpleQueue(name) as queue:
        messages = list(take(queue))
        for message in messages:
            failed = message.payload
            app.send_task(
                failed["task"],
                failed["args"],
                failed["kwargs"],
                queue=name.removesuffix(".parked"),
            )
            message.ack()
    return len(messages)


def take(queue: Any) -> Iterator[Message]:
    """Yield the messages of a queue until there is none."""
    while True:
        try:
            yield queue.get(block=False)
        except queue.Empty:
            return


# --8<-- [end:replay]


# --8<-- [start:report]
@shared_task(
    acks_late=True, retry_on_worker_lost=True, max_retries=1, default_retry_delay=0.1
)
def report(course: int) -> None:
    """Need more memory than there is: the kernel kills the process."""
    os.kill(os.getpid(), signal.SIGKILL)


# --8<-- [end:report]
