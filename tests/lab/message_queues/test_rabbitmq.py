"""What a RabbitMQ server does with messages, and what of them is left when it starts again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.messaging import Consumer, Producer
from redis import Redis

from lab.message_queues.rabbitmq import NotRoutedError, declare, replicated, tell, wrong_tell
from scripts import services
from scripts.services import RabbitMQ, Unavailable, Valkey, launch, stop_process
from tests.lab.workers import within
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amqp.channel import Channel

    from scripts.services import Server
    from tests.recording.files import Recorder

    Session = Callable[..., None]

pytestmark = pytest.mark.services


@pytest.fixture
def academy(connection: Connection) -> Iterator[str]:
    """The name of an exchange, with whose queues nobody else works."""
    name = f"nexus-{secrets.token_hex(4)}"
    channel = connection.channel()
    for queue in declare(channel, name).values():
        queue.declare()
    yield name
    channel = connection.channel()
    for queue in declare(channel, name).values():
        queue.delete()
    channel.exchange_delete(name)


def waiting(queue: Queue) -> int:
    """Return how many messages of a queue are ready for somebody."""
    return int(queue.queue_declare(passive=True).message_count)


def keys(queue: Queue) -> list[str]:
    """Take the messages out of a queue; return their routing keys."""
    found = []
    while message := queue.get(no_ack=True):
        found.append(message.delivery_info["routing_key"])
    return found


def test_a_message_goes_to_every_queue_that_wants_it(
    rabbitmq: str, connection: Connection, academy: str, session: Session
) -> None:
    names: dict[str, Any] = {"declare": declare, "tell": tell, "keys": keys}
    session("rabbitmq_routing.pycon", channel=connection.channel(), academy=academy, url=rabbitmq, **names)


def test_what_is_not_acknowledged_comes_again(
    rabbitmq: str, connection: Connection, academy: str, session: Session
) -> None:
    tell(rabbitmq, academy, "enrollment.created", {"learner": 1})
    channel = connection.channel()
    names: dict[str, Any] = {"declare": declare, "waiting": waiting, "connection": connection, "academy": academy}
    session("rabbitmq_acknowledge.pycon", channel=channel, letters=declare(channel, academy)["letters"], **names)


@pytest.mark.wrong("lab/message_queues/rabbitmq.py:wrong_tell")
def test_a_message_that_nobody_wants_vanishes(
    rabbitmq: str, connection: Connection, academy: str, session: Session
) -> None:
    declare(connection.channel(), academy)["reports"].unbind_from(Exchange(academy), routing_key="#")
    session("rabbitmq_lost.pycon", url=rabbitmq, academy=academy, wrong_tell=wrong_tell, tell=tell)
    with pytest.raises(NotRoutedError):
        tell(rabbitmq, academy, "payment.made", {})
    assert [waiting(queue) for queue in declare(connection.channel(), academy).values()] == [0, 0, 0]
    wrong_tell(rabbitmq, academy, "enrollment.created", {})
    assert within(5, lambda: waiting(declare(connection.channel(), academy)["letters"]) == 1)


def test_how_many_a_consumer_holds(rabbitmq: str, academy: str, record: Recorder) -> None:
    rows = ["| Prefetch | The first worker holds | The second holds | In the queue |", "| --- | ---: | ---: | ---: |"]
    for limit in (0, 10, 1):
        for learner in range(20):
            tell(rabbitmq, academy, "enrollment.created", {"learner": learner})
        held: Counter[str] = Counter()
        with ExitStack() as using:
            connections = {name: using.enter_context(Connection(rabbitmq)) for name in ("first", "second")}
            for name, one in connections.items():
                channel = one.channel()
                channel.basic_qos(0, limit, False)
                queue = declare(channel, academy)["letters"]
                consumer = Consumer(
                    channel, [queue], on_message=lambda _, name=name, held=held: held.update([name]), auto_declare=False
                )
                using.enter_context(consumer)
                expected = limit or 20
                if name == "first" or limit:
                    while held[name] < expected:
                        one.drain_events(timeout=5)
                with pytest.raises(TimeoutError):  # it gets no more than that
                    one.drain_events(timeout=0.1)
            left = waiting(queue)
        rows.append(f"| {limit or 'none'} | {held['first']} | {held['second']} | {left} |")
        with Connection(rabbitmq) as again:
            declare(again.channel(), academy)["letters"].purge()
    record("rabbitmq_prefetch.md", "\n".join(rows))


# A server that is killed and started again


class Restartable:
    """A server of this test's own, which keeps its folder when it ends."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.start()

    def start(self) -> None:
        """Start the server, on any port."""
        self.process, self.url = launch(self.server)

    def kill(self) -> None:
        """Kill the server; RabbitMQ's program is the child of a script."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="utf-8")
        for number in [*map(int, children.split()), self.process.pid]:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)

    def stop(self) -> None:
        """Stop the server."""
        stop_process(self.process, self.server.stops_on)


@contextmanager
def restartable(kind: Callable[[Path], Server]) -> Iterator[Restartable]:
    """Run a server that a test may end and start again."""
    with ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="nexus-restartable-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        server = kind(folder)
        try:
            server.prepare()
            cleanup.callback(server.leave)
            running = Restartable(server)
        except Unavailable as reason:
            pytest.skip(str(reason))
        cleanup.callback(running.kill)
        yield running


class KeepingValkey(Valkey):
    """Valkey with more options than the tests' usual one has."""

    def __init__(self, options: tuple[str, ...], folder: Path) -> None:
        super().__init__(folder)
        self.options = options

    def command(self, port: int) -> list[str]:
        """Return the command of the server."""
        return [*super().command(port), *self.options]


VALKEY: dict[str, tuple[str, ...]] = {
    "Valkey that saves nothing": (),
    "Valkey as it comes, with snapshots": ("--save", "3600 1 300 100 60 10000"),
    "Valkey with `appendonly yes`": ("--appendonly", "yes"),
}


def left_in_valkey(*options: str, kill: bool) -> int:
    """Put ten messages into a queue and end the server; return how many are there when it is back."""
    with restartable(partial(KeepingValkey, options)) as server:
        with Connection(server.url) as connection, connection.SimpleQueue("letters") as queue:
            for learner in range(10):
                queue.put({"learner": learner})
        if kill:
            server.kill()
        else:
            server.stop()
        server.start()
        with Redis.from_url(server.url) as client:
            return int(client.llen("letters"))


def left_in_rabbitmq() -> dict[str, int]:
    """Put messages into queues of three kinds and kill the server; return how many are there when it is back."""
    kinds = {
        "RabbitMQ, durable queue, transient messages": (Queue("transient", durable=True), 1),
        "RabbitMQ, durable queue, persistent messages": (Queue("persistent", durable=True), 2),
        "RabbitMQ, quorum queue": (replicated("quorum"), 1),
    }
    with restartable(RabbitMQ) as server:
        with Connection(server.url, transport_options={"confirm_publish": True}) as connection:
            channel = connection.channel()
            for queue, _ in kinds.values():
                queue.bind(channel).declare()
            # A quorum queue that is new is noted on disk a moment later.
            assert within(
                10, lambda: any(b"quorum" in file.read_bytes() for file in server.server.folder.rglob("names.dets"))
            )
            for queue, mode in kinds.values():
                for learner in range(10):
                    Producer(channel).publish({"learner": learner}, routing_key=queue.name, delivery_mode=mode)
        server.kill()
        server.start()
        with Connection(server.url) as connection:
            channel = connection.channel()

            def count(queue: Queue) -> int:
                return waiting(queue.bind(channel))

            # A quorum queue elects a leader before it answers.
            within(10, lambda: count(kinds["RabbitMQ, quorum queue"][0]) == 10)
            return {name: count(queue) for name, (queue, _) in kinds.items()}


def test_what_is_left_after_a_crash(record: Recorder) -> None:
    left = {name: left_in_valkey(*options, kill=True) for name, options in VALKEY.items()} | left_in_rabbitmq()
    assert list(left.values()) == [0, 0, 10, 0, 10, 10]
    rows = ["| Ten messages in | Left when the server was killed and started again |", "| --- | ---: |"]
    record("rabbitmq_restart.md", "\n".join([*rows, *(f"| {name} | {count} |" for name, count in left.items())]))


def test_an_orderly_stop_saves_a_snapshot() -> None:
    assert left_in_valkey(*VALKEY["Valkey as it comes, with snapshots"], kill=False) == 10
    assert left_in_valkey(kill=False) == 0


# What a confirm costs


def measure_publishing(messages: int = 500, rounds: int = 5) -> Measurement:
    """Return the median time for one message, by broker and by how sure the sender is."""
    taken: dict[str, list[float]] = {}
    with ExitStack() as using:
        producers = {}
        name = f"nexus-{secrets.token_hex(4)}"
        for label, kind, confirm in (
            ("Valkey", "valkey", False),
            ("RabbitMQ, without confirms", "rabbitmq", False),
            ("RabbitMQ, with confirms", "rabbitmq", True),
        ):
            options = {"confirm_publish": True} if confirm else {}
            connection = using.enter_context(Connection(services.url(kind), transport_options=options))
            channel: Channel = connection.channel()
            queue = Queue(name, durable=True).bind(channel)
            queue.declare()
            using.callback(queue.delete)
            producers[label] = Producer(channel), queue
        for number in range(rounds + 1):
            for label, (producer, queue) in producers.items():
                start = time.perf_counter()
                for learner in range(messages):
                    producer.publish({"learner": learner}, routing_key=name, delivery_mode=2)
                if number:
                    taken.setdefault(label, []).append((time.perf_counter() - start) / messages * 1e6)
                within(10, lambda queue=queue: waiting(queue) >= messages)  # type: ignore[misc]
                queue.purge()
        properties = using.enter_context(Connection(services.url("rabbitmq"))).connection.server_properties
        release = Redis.from_url(services.url("valkey")).info("server")["valkey_version"]
    versions = {"kombu": version("kombu"), "Valkey": release, "RabbitMQ": properties["version"]}
    return Measurement(
        title="Handing a message to the broker",
        description="With confirms the sender waits for the broker at each message, and takes longest.",
        x="way",
        y="time for a message (µs)",
        versions=versions,
        bars={label: round(median(times)) for label, times in taken.items()},
    )


@pytest.mark.measures("rabbitmq_publishing")
def test_what_a_confirm_costs(rabbitmq: str, measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    recorded = measured("rabbitmq_publishing.json", measure_publishing).bars
    assert max(recorded, key=recorded.__getitem__) == "RabbitMQ, with confirms"
    assert recorded["RabbitMQ, with confirms"] > 1.5 * recorded["RabbitMQ, without confirms"]
    assert set(measure_publishing(messages=20, rounds=1).bars) == set(recorded)
