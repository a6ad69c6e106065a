"""Two processes behind a balancer: what each keeps for itself is lost at every second request."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from django.test import RequestFactory

from lab.system_design import stateless_samples as samples
from lab.system_design.load_balancing import Balancer, balancing
from scripts import services
from tests.lab.serving import GUNICORN, serve
from tests.lab.system_design.behind import SERVED, Visitor, together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.core.cache.backends.base import BaseCache
    from pytest_django import Settings

    from tests.recording.files import Recorder

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases("postgresql")]

IN_MEMORY = {"SERVED_SESSIONS": "django.contrib.sessions.backends.cache", "CACHE_URL": "locmemcache://"}


@contextmanager
def two(*folders: Path, **variables: str) -> Iterator[Balancer]:
    """Two gunicorn processes of the lab, each with a folder for files, behind a balancer that takes turns."""
    urls = "lab.system_design.stateless_samples"
    options = {**SERVED, **variables}
    servers = [serve(*GUNICORN, urls=urls, SERVED_FILES=str(folder), **options) for folder in folders]
    with together(*servers) as names, balancing(*names) as balancer:
        yield balancer


def story(balancer: Balancer, *asked: tuple[str, str | None]) -> list[str]:
    """Let one visitor ask; return what was asked, which of the servers answered, and what."""
    visitor = Visitor(balancer.url)
    lines = []
    for path, body in asked:
        answer = visitor.ask(path, body)
        number = [server.name for server in balancer.servers].index(str(answer.server)) + 1
        method = "GET " if body is None else "POST"
        lines.append(f"{method} {path:17} process {number}: {answer.status} {answer.text}")
    return lines


SESSION = [("/choose/django/", ""), *[("/chosen/", None)] * 3]
ESSAY = [("/essay/", "Keys and rows"), *[("/essay/", None)] * 3]


@pytest.mark.wrong(
    "lab/system_design/stateless_samples.py:wrong_ticket", "lab/system_design/stateless_samples.py:wrong_midnight"
)
def test_what_a_process_keeps_is_lost_at_every_second_request(academy: None, tmp_path: Path, record: Recorder) -> None:
    with two(tmp_path / "one", tmp_path / "other", **IN_MEMORY) as balancer:
        tickets = story(balancer, *[("/wrong/ticket/", None)] * 6)
        sessions = story(balancer, *SESSION)
        essays = story(balancer, *ESSAY)
        letters = story(balancer, *[("/wrong/midnight/", None)] * 2)
    assert [line.split()[-1] for line in tickets] == ["1", "1", "2", "2", "3", "3"]
    assert [line.split()[-1] for line in sessions] == ["django", *["nothing"] * 3], "the cookie was deleted"
    assert [line.split()[4] for line in essays] == ["200", "404", "200", "404"]
    assert [line.split()[-2:] for line in letters] == [["10", "letters"]] * 2
    record("stateless_tickets_wrong.txt", "\n".join(tickets))
    record("stateless_session_wrong.txt", "\n".join(sessions))
    record("stateless_essay_wrong.txt", "\n".join(essays))
    record("stateless_midnight_wrong.txt", "\n".join(letters))


def test_what_stands_outside_is_there_for_both(
    academy: None, tmp_path: Path, valkey: BaseCache, record: Recorder
) -> None:
    shared = tmp_path / "shared"
    url = f"{services.url('valkey')}?key_prefix={valkey.key_prefix}"
    with two(shared, shared, CACHE_URL=url) as balancer:
        tickets = story(balancer, *[("/ticket/", None)] * 6)
        sessions = story(balancer, *SESSION)
        essays = story(balancer, *ESSAY)
        letters = story(balancer, *[("/midnight/", None)] * 2)
    assert [line.split()[-1] for line in tickets] == list("123456")
    assert {line.split()[-1] for line in sessions} == {"django"}
    assert {line.split()[4] for line in essays} == {"200"}
    assert [line.split()[-2] for line in letters] == ["10", "0"]
    record("stateless_tickets.txt", "\n".join(tickets))
    record("stateless_session.txt", "\n".join(sessions))
    record("stateless_essay.txt", "\n".join(essays))
    record("stateless_midnight.txt", "\n".join(letters))


def test_the_views_in_this_process(academy: None, tmp_path: Path, settings: Settings) -> None:
    ask = RequestFactory()
    assert samples.wrong_ticket(ask.get("/")).content == b"1"
    assert [samples.ticket(ask.get("/")).content for _ in range(2)] == [b"1", b"2"]
    assert samples.wrong_midnight(ask.get("/")).content == b"10 letters"
    assert [samples.midnight(ask.get("/")).content for _ in range(2)] == [b"10 letters", b"0 letters"]
    settings.MEDIA_ROOT = str(tmp_path)
    assert samples.essay(ask.get("/")).status_code == 404
    assert samples.essay(ask.post("/", b"x", content_type="text/plain")).content == b"stored"
    assert samples.essay(ask.get("/")).content == b"x"
    request = ask.get("/")
    request.session = {}  # type: ignore[assignment]  # as much of a session as the views need
    samples.choose(request, "django")
    assert samples.chosen(request).content == b"chosen: django"
