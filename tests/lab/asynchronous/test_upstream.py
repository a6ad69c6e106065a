"""The slow server of the chapter answers when it should, and says what it has seen."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from lab.asynchronous.upstream import aask, ask, running
from scripts.pages import ROOT
from scripts.services import free_port
from tests.lab.serving import wait


def test_it_answers_after_as_long_as_the_path_says() -> None:
    with running() as upstream:
        start = time.monotonic()
        assert ask(f"{upstream.url}/200/kofi") == "kofi"
        assert time.monotonic() - start >= 0.2
        assert asyncio.run(aask(f"{upstream.url}/0/ama")) == "ama"
        assert upstream.seen == upstream.done == ["kofi", "ama"]
        assert upstream.most == 1


def test_a_held_request_is_answered_when_a_test_says_so() -> None:
    with running() as upstream, ThreadPoolExecutor() as pool:
        answers = [pool.submit(ask, f"{upstream.url}/held/{name}") for name in ("kofi", "ama")]
        upstream.arrived(2)
        assert not any(answer.done() for answer in answers)
        upstream.release("kofi")
        assert answers[0].result() == "kofi"
        assert upstream.done == ["kofi"]
        upstream.release("ama")
        assert answers[1].result() == "ama"
        assert upstream.most == 2
        assert ask(f"{upstream.url}/held/ama") == "ama"


def test_one_connection_carries_many_requests() -> None:
    with running() as upstream, requests.Session() as session:
        for name in ("ama", "kofi"):
            assert session.post(f"{upstream.url}/0/{name}", data=b"some bytes").text == name
        assert upstream.done == ["ama", "kofi"]


def test_it_runs_as_a_program() -> None:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "lab.asynchronous.upstream", str(port)], cwd=ROOT)
    try:
        wait(port, process)
        assert ask(f"http://127.0.0.1:{port}/0/esi") == "esi"
    finally:
        process.terminate()
        process.wait()
