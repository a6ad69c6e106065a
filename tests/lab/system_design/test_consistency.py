"""A network is cut between an office and the number of seats: one office refuses, the other sells what is gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from lab.system_design.consistency import SEATS, Careful, Obliging, RefusedError
from lab.system_design.relay import relaying
from scripts import services
from scripts.services import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.system_design.relay import Relay
    from tests.recording.files import Recorder

pytestmark = pytest.mark.services


@pytest.fixture
def near() -> Iterator[Redis]:
    """A client of a Valkey that this test alone uses."""
    try:
        with services.running("valkey") as url, Redis.from_url(url, protocol=2) as client:
            yield client
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def relay(near: Redis) -> Iterator[Relay]:
    """The network between the far office and Valkey."""
    options = near.get_connection_kwargs()
    with relaying(f"{options['host']}:{options['port']}") as relay:
        yield relay


def far(relay: Relay) -> Redis:
    """Return a client whose packets go over the network that can be cut; it waits a moment, and tries once."""
    retry = Retry(NoBackoff(), 0)
    return Redis(port=relay.port, socket_timeout=0.3, socket_connect_timeout=0.3, retry=retry, protocol=2)


def say(what: Callable[[], object]) -> str:
    """Return an answer, or that there was none."""
    try:
        return str(what())
    except RefusedError:
        return "refused (503)"


def story(kind: type[Careful | Obliging], near: Redis, relay: Relay) -> list[str]:
    """Two offices and one seat: the network is cut, Accra sells, Kumasi is asked."""
    relay.mend()
    near.set(SEATS, 1)
    accra = kind(near)
    with closing(far(relay)) as cut_off:
        kumasi = kind(cut_off)
        seen = [say(accra.seats), say(kumasi.seats)]
        relay.cut()
        seen += [say(accra.sell), say(kumasi.seats), say(kumasi.sell)]
    relay.mend()
    with closing(far(relay)) as again:
        kumasi.store = again
        left = kumasi.reconcile() if isinstance(kumasi, Obliging) else kumasi.seats()
    return [*seen, str(left)]


ROWS = [
    "Accra shows",
    "Kumasi shows",
    "the network is cut; Accra sells",
    "Kumasi shows",
    "Kumasi sells",
    "the network is back: seats left",
]


def test_a_partition_makes_one_choose(near: Redis, relay: Relay, record: Recorder) -> None:
    careful, obliging = story(Careful, near, relay), story(Obliging, near, relay)
    assert careful == ["1", "1", "sold", "refused (503)", "refused (503)", "0"]
    assert obliging == ["1", "1", "sold", "1", "sold", "-1"]
    lines = ["| One seat, two offices | `Careful` | `Obliging` |", "| --- | --- | --- |"]
    lines += [f"| {row} | {one} | {other} |" for row, one, other in zip(ROWS, careful, obliging, strict=True)]
    record("consistency_partition.md", "\n".join(lines))


@pytest.mark.parametrize("kind", [Careful, Obliging])
def test_without_a_partition_both_are_right(near: Redis, kind: type[Careful | Obliging]) -> None:
    near.set(SEATS, 1)
    one, other = kind(near), kind(near)
    assert [one.sell(), other.sell(), one.seats(), other.seats()] == ["sold", "sold out", 0, 0]


def test_a_partition_does_not_need_a_dead_server(near: Redis, relay: Relay) -> None:
    with closing(far(relay)) as client:
        assert client.ping()
        relay.cut()
        assert near.ping(), "the server is well"
        with pytest.raises(RefusedError):
            Careful(client).seats()


@pytest.mark.parametrize("kind", [Careful, Obliging])
def test_many_sales_at_once_sell_what_is_there(near: Redis, kind: type[Careful | Obliging]) -> None:
    near.set(SEATS, 50)
    offices = [kind(near) for _ in range(8)]
    for office in offices:
        assert office.seats() == 50
    with ThreadPoolExecutor(8) as pool:
        sold = list(pool.map(lambda number: offices[number % 8].sell(), range(200)))
    assert (sold.count("sold"), kind(near).seats()) == (50, 0)


def test_a_refusal_does_not_mean_that_nothing_happened(near: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question arrives, and the answer is lost: one refuses a seat that is sold, the other sells it twice."""
    decr = near.decr

    def lost(name: str) -> None:
        decr(name)
        raise RedisTimeoutError

    near.set(SEATS, 1)
    careful, obliging = Careful(near), Obliging(near)
    assert obliging.seats() == 1
    monkeypatch.setattr(near, "decr", lost)
    with pytest.raises(RefusedError):
        careful.sell()
    assert careful.seats() == 0
    near.set(SEATS, 1)
    assert obliging.sell() == "sold"
    assert obliging.reconcile() == -1


def test_an_obliging_office_without_a_last_answer_says_none(near: Redis, relay: Relay) -> None:
    with closing(far(relay)) as client:
        relay.cut()
        office = Obliging(client)
        assert (office.seats(), office.sell()) == (0, "sold out")
