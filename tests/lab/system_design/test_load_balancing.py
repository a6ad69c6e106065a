"""A balancer and two servers of the lab: whose turn it is, who is slow, who is dead, and who asks."""

from __future__ import annotations

import functools
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from lab.system_design.load_balancing import Balancer, Handler, Server, balancing, by_address, in_turn, least_busy
from lab.system_design.relay import relaying
from tests.lab.serving import GUNICORN, serve
from tests.lab.system_design.behind import SERVED, Visitor, name, together
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django.live_server_helper import LiveServer

    from tests.recording.files import Recorder

NOBODY = "127.0.0.1:1"


class Plain(BaseHTTPRequestHandler):
    """Answers at once, and keeps its connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Say how the server fares."""
        status = self.server.status  # type: ignore[attr-defined]
        self.server.seen.append(self.headers)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def plain() -> Iterator[Any]:
    """A server of this process: its ``name``, the headers that it has ``seen``, and the ``status`` it answers with."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    server.daemon_threads = True
    server.seen, server.status, server.name = [], 200, f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def statuses(balancer: Balancer, number: int) -> list[int]:
    """Ask so many times, one after the other."""
    return [Visitor(balancer.url).ask("/work/").status for _ in range(number)]


def test_the_rules() -> None:
    one, other = Server("one"), Server("other")
    assert [in_turn([one, other], n, "").name for n in range(3)] == ["one", "other", "one"]
    one.busy = 2
    assert {least_busy([one, other], n, "").name for n in range(4)} == {"other"}
    other.busy = 2
    assert [least_busy([one, other], n, "").name for n in range(2)] == ["one", "other"], "a tie goes in turn"
    assert len({by_address([one, other], n, "203.0.113.9").name for n in range(9)}) == 1


def test_a_dead_server_takes_every_second_request_until_somebody_looks(record: Recorder) -> None:
    lines = ["| Ten requests, while one of two servers is dead | 200 | 502 |", "| --- | ---: | ---: |"]

    def row(what: str, seen: list[int]) -> None:
        lines.append(f"| {what} | {seen.count(200)} | {seen.count(502)} |")

    with plain() as alive:
        with balancing(alive.name, NOBODY) as balancer:
            row("before the next health check", statuses(balancer, 10))
            balancer.check()
            assert [server.healthy for server in balancer.servers] == [True, False]
            row("after it", statuses(balancer, 10))
            alive.status = 503  # not ready: its database is away
            balancer.check()
            assert statuses(balancer, 1) == [503], "nobody is left"
            alive.status = 200
            balancer.check()
            assert statuses(balancer, 1) == [200]
        with balancing(alive.name, NOBODY, again=True) as balancer:
            row("before it, but a refused GET goes to the other server", statuses(balancer, 10))
            assert [Visitor(balancer.url).ask("/work/", "").status for _ in range(2)].count(502) == 1, "a POST does not"
    assert lines[2:] == [
        "| before the next health check | 5 | 5 |",
        "| after it | 10 | 0 |",
        "| before it, but a refused GET goes to the other server | 10 | 0 |",
    ]
    record("load_balancing_dead.md", "\n".join(lines))


def test_a_broken_server_that_answers_at_once_draws_the_requests() -> None:
    """It is never busy: while the other one works, it gets all that come."""
    broken, working = Server("broken"), Server("working", busy=1)
    assert {least_busy([broken, working], n, "").name for n in range(4)} == {"broken"}


def test_a_third_server_moves_most_addresses() -> None:
    servers = [Server(str(number)) for number in range(3)]
    clients = [f"203.0.113.{number}" for number in range(250)]
    moved = [by_address(servers[:2], 0, each) is not by_address(servers, 0, each) for each in clients]
    assert sum(moved) > len(clients) / 2


def test_layer_4_shares_out_connections_and_layer_7_requests(record: Recorder) -> None:
    lines = ["| Ten requests over one open connection | Server 1 | Server 2 |", "| --- | ---: | ---: |"]

    def ask(address: str) -> None:
        with closing(HTTPConnection(address, timeout=30)) as connection:
            for _ in range(10):
                connection.request("GET", "/")
                connection.getresponse().read()

    counts = {}
    for layer in (4, 7):
        with plain() as one, plain() as other, ExitStack() as stack:
            if layer == 4:
                port = stack.enter_context(relaying(one.name, other.name)).port
            else:
                port = stack.enter_context(balancing(one.name, other.name)).server_port
            ask(f"127.0.0.1:{port}")
            counts[layer] = (len(one.seen), len(other.seen))
            lines.append(f"| layer {layer} | {len(one.seen)} | {len(other.seen)} |")
    assert counts == {4: (10, 0), 7: (5, 5)}
    record("load_balancing_layers.md", "\n".join(lines))


def test_sticky_by_address_puts_a_school_on_one_server(record: Recorder) -> None:
    lines = ["| 20 visitors behind one address | Server 1 | Server 2 |", "| --- | ---: | ---: |"]
    for title, rule in {"in turn": in_turn, "sticky by address": by_address}.items():
        with plain() as one, plain() as other, balancing(one.name, other.name, rule=rule) as balancer:
            assert statuses(balancer, 20) == [200] * 20
            counts = sorted(server.chosen for server in balancer.servers)
            assert counts == ([10, 10] if rule is in_turn else [0, 20])
            lines.append(f"| {title} | {counts[1]} | {counts[0]} |")
    record("load_balancing_sticky.md", "\n".join(lines))


@pytest.mark.urls("lab.system_design.load_balancing_samples")
def test_what_the_server_hears_of_the_client(live_server: LiveServer, record: Recorder) -> None:
    with balancing(name(live_server.url)) as balancer:
        balancer.check(timeout=20)
        assert balancer.servers[0].healthy, "the lab's own health check"
        client = Visitor(balancer.url, headers={"X-Forwarded-For": "203.0.113.9"}, address="127.0.0.2")
        answer = json.loads(client.ask("/told/").text)
        assert client.ask("/work/").text == "done"
    assert answer == {"REMOTE_ADDR": "127.0.0.1", "X-Forwarded-For": "203.0.113.9, 127.0.0.2"}
    record(
        "load_balancing_told.md",
        "\n".join(["| Heard | Value |", "| --- | --- |"] + [f"| `{n}` | `{v}` |" for n, v in answer.items()]),
    )


@pytest.mark.parametrize("header", ["X-Forwarded-Proto", "x-forwarded-proto"])
def test_a_client_cannot_say_that_it_came_by_https(header: str) -> None:
    with plain() as server, balancing(server.name) as balancer:
        assert Visitor(balancer.url, headers={header: "https"}).ask("/").status == 200
        assert server.seen[0].get_all("X-Forwarded-Proto") == ["http"]


def test_a_client_that_hangs_up_is_not_asked_for_twice() -> None:
    """The answer is there, and cannot be given: that is no fault of the server."""
    with plain() as one, plain() as other, balancing(one.name, other.name, again=True) as balancer:
        handler = object.__new__(Handler)
        handler.server, handler.command, handler.path = balancer, "GET", "/"
        handler.client_address, handler.headers = ("127.0.0.1", 1), Message()
        handler.rfile = io.BytesIO()
        handler.reply = Mock(side_effect=BrokenPipeError)  # type: ignore[method-assign]
        with pytest.raises(BrokenPipeError):
            handler.forward()
        assert len(one.seen) + len(other.seen) == 1


def test_a_server_that_is_silent_costs_the_whole_timeout() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,  # accepts, and never answers
        balancing(f"127.0.0.1:{silent.getsockname()[1]}", patience=0.1) as balancer,
    ):
        assert statuses(balancer, 1) == [504], "nobody has looked yet"
        balancer.check(timeout=0.05)
        assert not balancer.servers[0].healthy
        assert statuses(balancer, 1) == [503]


# One slow server -------------------------------------------------------------------------------------


def shares(rule: Any, slow: str, fast: str, seconds: float, clients: int = 8) -> tuple[float, list[int]]:
    """Let clients ask, each the next as soon as it has an answer; return answers a second, and who got how many."""
    end = time.perf_counter() + seconds
    with balancing(slow, fast, rule=rule) as balancer, ThreadPoolExecutor(clients) as pool:

        def ask(_: int) -> int:
            answered = 0
            while time.perf_counter() < end:
                answered += Visitor(balancer.url).ask("/work/").status == 200
            return answered

        answered = sum(pool.map(ask, range(clients)))
        return answered / seconds, [server.chosen for server in balancer.servers]


@functools.cache
def one_slow(seconds: float, rounds: int) -> dict[str, tuple[float, list[int]]]:
    """Run both rules in turn; return the middle round of each."""
    command = (*GUNICORN, "--threads", "8")
    urls = "lab.system_design.load_balancing_samples"
    with together(
        serve(*command, urls=urls, **SERVED, SERVED_SECONDS="0.3"),
        serve(*command, urls=urls, **SERVED, SERVED_SECONDS="0.005"),
    ) as (slow, fast):
        shares(in_turn, slow, fast, 0.5)
        seen: dict[str, list[tuple[float, list[int]]]] = {"round robin": [], "least connections": []}
        for _ in range(rounds):
            for title, rule in {"round robin": in_turn, "least connections": least_busy}.items():
                seen[title].append(shares(rule, slow, fast, seconds))
    return {title: sorted(results)[rounds // 2] for title, results in seen.items()}


def measurement() -> Measurement:
    """Answers a second with each rule."""
    return Measurement(
        title="Two servers, one of them slow",
        description="Least connections answers several times as many requests as round robin.",
        x="rule",
        y="answers a second",
        versions={"Django": version("django"), "gunicorn": version("gunicorn")},
        bars={title: round(rate) for title, (rate, _) in one_slow(5, 3).items()},
    )


@pytest.mark.measures("load_balancing")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_round_robin_waits_for_the_slow_one(
    academy: None, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    bars = measured("load_balancing.json", measurement).bars
    assert bars["least connections"] > 3 * bars["round robin"]
    turns, least = one_slow(1, 1).values()
    assert abs(turns[1][0] - turns[1][1]) <= 1, "one after the other"
    assert 3 * least[1][0] < least[1][1], "the slow one gets less"
