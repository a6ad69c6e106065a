"""The numbers of a queue, as a real broker and a real worker give them."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from celery.app.task import Context
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Producer
from redis import Redis

from lab.celery import app
from lab.message_queues.monitoring import alarms, in_hand, length, oldest, slow, state, workers
from scripts import services
from tests.lab.message_queues.brokers import settings
from tests.lab.workers import LIMIT, within
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery.events.receiver import EventReceiver

    Session = Callable[..., None]

pytestmark = pytest.mark.services


@pytest.fixture
def server(broker: str) -> Iterator[Redis]:
    """The broker, as a client of Valkey sees it."""
    with Redis.from_url(broker) as server:
        yield server


@pytest.fixture
def queue(server: Redis) -> Iterator[str]:
    """The test's queue."""
    name = app.conf.task_default_queue
    yield name
    server.delete(name)


def test_without_a_worker_nothing_fails(server: Redis, queue: str, session: Session) -> None:
    names: dict[str, Any] = {"length": length, "workers": workers, "alarms": alarms, "slow": slow}
    assert oldest(server, queue) == 0
    session("monitoring_length.pycon", server=server, queue=queue, **names)
    server.lpush(f"{queue}.parked", "one")
    with time_machine.travel(time.time(), tick=True) as clock:

        def pass_the_time(minutes: int) -> None:
            clock.shift(minutes * 60)
            slow.delay(60)  # the newest message is young, and changes nothing

        session("monitoring_alarm.pycon", server=server, queue=queue, pass_the_time=pass_the_time, **names)
    server.delete(f"{queue}.parked")


def test_a_retry_keeps_the_time_of_its_first_sending(server: Redis, queue: str) -> None:
    def headers() -> dict[str, Any]:
        headers: dict[str, Any] = json.loads(server.lindex(queue, 0) or b"")["headers"]  # of the newest
        return headers

    slow.delay(60)
    first = headers()
    slow.signature_from_request(Context(first, args=[60], kwargs={}), retries=1).apply_async()
    assert (headers()["retries"], headers()["sent_at"]) == (1, first["sent_at"])
    assert Context(first).sent_at == first["sent_at"], "as a task finds it"


@pytest.mark.databases("postgresql")
def test_what_a_worker_has_fetched_is_in_no_queue(
    server: Redis, queue: str, broker: str, worker: Callable[..., Any], session: Session
) -> None:
    with worker("lab.message_queues.monitoring", "--task-events", **settings(broker)) as running:
        seen: list[dict[str, Any]] = []
        receivers: list[EventReceiver] = []

        def listen() -> None:
            with app.connection_for_read() as connection:
                receivers.append(app.events.Receiver(connection, handlers={"*": seen.append}))
                receivers[0].capture(timeout=2 * LIMIT, wakeup=False)

        thread = threading.Thread(target=listen)
        thread.start()
        assert within(LIMIT, lambda: any(event["type"] == "worker-heartbeat" for event in seen))

        def kinds() -> Counter[str]:
            return Counter(event["type"] for event in seen)

        def events() -> None:
            assert within(LIMIT, lambda: kinds()["task-succeeded"] and kinds()["task-failed"])
            ids = list(dict.fromkeys(event["uuid"] for event in seen if event["type"].startswith("task-")))
            for number, task in enumerate(ids, start=1):
                print(number, *(event["type"] for event in seen if event.get("uuid") == task))

        session("monitoring_events.pycon", slow=slow, events=events)
        for _ in range(5):
            slow.delay(60)
        assert within(LIMIT, lambda: kinds()["task-received"] == 2 + 5)
        assert within(LIMIT, lambda: kinds()["task-started"] == 2 + 1)
        receivers[0].should_stop = True
        thread.join(LIMIT)
        names: dict[str, Any] = {"workers": workers, "length": length, "in_hand": in_hand}
        session("monitoring_reserved.pycon", server=server, queue=queue, **names)
        running.kill()


def test_what_rabbitmq_says(rabbitmq: str, session: Session) -> None:
    name = f"nexus-{secrets.token_hex(4)}"
    with Connection(rabbitmq, transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        made = Queue(name, durable=True).bind(channel)
        made.declare()
        for learner in range(3):
            Producer(channel).publish({"learner": learner}, routing_key=name)
        session("monitoring_rabbitmq.pycon", url=rabbitmq, queue=name, state=state, Connection=Connection, Queue=Queue)
        made.delete()


# Little's law

SERVICE = 0.01  # seconds that the work on one message takes


def little(per_second: float, seconds: float) -> tuple[float, float]:
    """Let one worker take messages from a queue of Valkey for a while.

    Returns:
        The mean length of the queue, as a monitor sees it that asks for it; and the rate times the mean wait.
    """
    dice = random.Random(7)  # noqa: S311 - arrivals, not secrets
    name = f"nexus-{secrets.token_hex(4)}"
    waits: list[float] = []
    lengths: list[int] = []
    done = threading.Event()

    def work() -> None:
        with Redis.from_url(services.url("valkey")) as server:
            while True:
                found = server.brpop([name], timeout=0.1)
                if found is None:
                    if done.is_set():
                        return
                    continue
                waits.append(time.perf_counter() - float(found[1]))
                time.sleep(SERVICE)

    def watch() -> None:
        with Redis.from_url(services.url("valkey")) as server:
            while not done.is_set():
                lengths.append(length(server, name))
                time.sleep(0.005)

    threads = [threading.Thread(target=work), threading.Thread(target=watch)]
    for thread in threads:
        thread.start()
    start = due = time.perf_counter()
    sent = 0
    with Redis.from_url(services.url("valkey")) as server:
        while due - start < seconds:
            due += dice.expovariate(per_second)
            time.sleep(max(0, due - time.perf_counter()))
            server.lpush(name, time.perf_counter())
            sent += 1
        within(LIMIT, lambda: not length(server, name))
        took = time.perf_counter() - start
    done.set()
    for thread in threads:
        thread.join(LIMIT)
    return sum(lengths) / len(lengths), sent / took * sum(waits) / len(waits)


def measure_little() -> Measurement:
    """Return the length of a queue at some rates, sampled and computed."""
    rates = (20, 40, 60, 70, 80)
    found = {rate: little(rate, 20) for rate in rates}
    return Measurement(
        title="A queue before one worker",
        description="The two lines lie on each other, and rise steeply as the worker comes near its limit.",
        x="messages a second",
        y="messages that wait",
        versions={
            "redis-py": version("redis"),
            "Valkey": Redis.from_url(services.url("valkey")).info("server")["valkey_version"],
        },
        lines={
            "length, sampled": [(rate, round(found[rate][0], 2)) for rate in rates],
            "rate times mean wait": [(rate, round(found[rate][1], 2)) for rate in rates],
        },
    )


@pytest.mark.measures("monitoring_little")
def test_littles_law(broker: str, measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    sampled, computed = (dict(points) for points in measured("monitoring_little.json", measure_little).lines.values())
    assert sampled[80] > 5 * sampled[40]
    for rate in (70, 80):
        assert 0.8 < sampled[rate] / computed[rate] < 1.25
    length_now, product = little(150, 1)  # more than one worker can do
    assert 1 / 3 < length_now / product < 3
