"""Attacks on A06 to A10: each reaches its goal with the wrong version, and fails on the right one."""

from __future__ import annotations

import base64
import logging
import os
import pickle
import re
import time
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.contrib.auth.signals import user_login_failed
from django.core import mail, signing
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from lab.academy.enrolling import CannotEnroll
from lab.academy.models import Course, Learner
from lab.practices.owasp_data import (
    confirm,
    load,
    note,
    reserve,
    save,
    signature,
    wrong_load,
    wrong_note,
    wrong_reserve,
)
from tests.lab.people import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_django import Settings

    from tests.lab.people import People
    from tests.recording.files import Recorder


@pytest.fixture
def routes(settings: Settings) -> None:
    """The views of the page."""
    settings.ROOT_URLCONF = "lab.practices.owasp_data"


# A06


@pytest.mark.wrong("lab/practices/owasp_data.py:wrong_reserve")
def test_one_person_takes_all_seats(academy: None, record: Recorder) -> None:
    course = Course.objects.get(slug="python")

    def left() -> int:
        return course.seats - course.enrollments.count()

    before, people = left(), Learner.objects.count()
    invented = [f"nobody{number}@attacker.example" for number in range(course.seats)]
    for email in invented:
        reserve(course, email)
    right = left()
    assert right == before > 0
    assert Learner.objects.count() == people, "nor did a learner appear"
    assert len(mail.outbox) == len(invented)
    taken = 0
    for email in invented:
        try:
            wrong_reserve(course, email)
        except CannotEnroll:
            break
        taken += 1
    assert left() == 0
    assert taken == before
    lines = [
        f"{len(invented)} invented addresses, {before} seats left:",
        f"wrong_reserve: {left()} seats left",
        f"reserve:       {right} seats left",
    ]
    record("owasp_data_seats.txt", "\n".join(lines))


def test_whoever_reads_the_mail_gets_the_seat(academy: None) -> None:
    course = Course.objects.get(slug="python")
    reserve(course, "new@example.com")
    token = re.search(r"/seat/(\S+)", str(mail.outbox[0].body))
    assert token
    assert confirm(token[1]).learner.email == "new@example.com"
    with pytest.raises(CannotEnroll, match="before"):
        confirm(token[1])
    with pytest.raises(signing.BadSignature):
        confirm(signing.dumps([course.pk, "kofi@example.com"], salt="another"))
    reserve(course, "late@example.com")
    late = re.search(r"/seat/(\S+)", str(mail.outbox[1].body))
    assert late
    with time_machine.travel(time.time() + 25 * 3600), pytest.raises(signing.SignatureExpired):
        confirm(late[1])


# A07


@pytest.mark.wrong("lab/practices/owasp_data.py:wrong_sign_in")
def test_a_list_of_passwords_finds_the_right_one(people: People, routes: None, record: Recorder) -> None:
    passwords = [f"guess {number}" for number in range(49)] + [PASSWORD]

    def guess(address: str) -> list[int]:
        client = APIClient()
        answers = []
        for password in passwords:
            answers.append(client.post(address, {"email": "ama@example.com", "password": password}).status_code)
            if answers[-1] in (200, 429):
                break
        return answers

    def from_elsewhere() -> int:
        owner = {"email": "ama@example.com", "password": PASSWORD}
        answer: int = APIClient(REMOTE_ADDR="192.0.2.9").post("/token/", owner).status_code
        return answer

    lines = [f"A list of {len(passwords)} passwords, the last of them Ama's:"]
    seen = {}
    for name, address in (("wrong_sign_in", "/wrong/token/"), ("sign_in", "/token/")):
        with time_machine.travel("2026-11-23T09:00Z", tick=False):
            answers = seen[name] = guess(address)
            if name == "sign_in":
                assert from_elsewhere() == 429, "the account is counted, and Ama herself is locked out"
        lines.append(f"{name + ':':14} attempt {len(answers)} is answered {answers[-1]}")
    assert (len(seen["wrong_sign_in"]), seen["wrong_sign_in"][-1]) == (50, 200)
    assert (len(seen["sign_in"]), seen["sign_in"][-1]) == (21, 429)
    with time_machine.travel("2026-11-23T10:00Z", tick=False):
        assert from_elsewhere() == 200, "until the hour is over"
    record("owasp_data_guesses.txt", "\n".join(lines))


# A08


class Trap:
    """Runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Say how this is made again: by making a folder."""
        return os.mkdir, (str(self.path),)


@pytest.mark.wrong("lab/practices/owasp_data.py:wrong_load")
def test_a_cookie_runs_code(tmp_path: Path) -> None:
    honest = {"level": "beginner"}
    assert wrong_load(base64.b64encode(pickle.dumps(honest)).decode()) == load(save(honest)) == honest
    cookie = base64.b64encode(pickle.dumps(Trap(tmp_path / "wrong"))).decode()
    wrong_load(cookie)
    assert (tmp_path / "wrong").is_dir(), "loading was running"
    cookie = base64.b64encode(pickle.dumps(Trap(tmp_path / "right"))).decode()
    with pytest.raises(signing.BadSignature):
        load(cookie)
    assert not (tmp_path / "right").exists()
    changed = save(honest)
    with pytest.raises(signing.BadSignature):
        load("x" + changed)


# A09

FORGED = "kofi@example.com\nINFO sign-in of ama@example.com"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what a plain handler writes, line by line."""
    wanted = [record for record in caplog.records if record.name == "academy.security"]
    return "\n".join(f"{record.levelname} {record.getMessage()}" for record in wanted).splitlines()


@pytest.mark.wrong("lab/practices/owasp_data.py:wrong_note")
def test_a_name_writes_a_line_and_an_attack_stays_unseen(caplog: pytest.LogCaptureFixture, record: Recorder) -> None:
    shown = []
    for function in (wrong_note, note):
        caplog.clear()
        cache.clear()
        function({"username": FORGED})
        for _ in range(30):
            function({"username": "ama@example.com"})
        lines = lines_of(caplog)
        alarms = [line for line in lines if line.startswith("ERROR")]
        assert len(alarms) == (function is note)
        assert ("INFO sign-in of ama@example.com" in lines) == (function is wrong_note)
        shown += [f"# {function.__name__}", *lines[:2], *(["…"]), *alarms]
    record("owasp_data_log.txt", "\n".join(shown))


def test_django_itself_writes_no_line_for_a_failed_sign_in(people: People, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> int:
        answer = Client().post("/login/", {"username": "ama@example.com", "password": "wrong"}, secure=True)
        return answer.status_code

    with caplog.at_level(logging.DEBUG):
        assert fail() == 200
        assert caplog.records == []
        user_login_failed.connect(note)
        try:
            fail()
        finally:
            assert user_login_failed.disconnect(note)
        assert lines_of(caplog) == ["WARNING sign-in failed for 'ama@example.com'"]


@pytest.mark.parametrize("function", [wrong_note, note])
def test_the_signal_of_the_api_calls_the_account_email(
    people: People, routes: None, caplog: pytest.LogCaptureFixture, function: Callable[..., None]
) -> None:
    user_login_failed.connect(function)
    try:
        answer = APIClient().post("/token/", {"email": "ama@example.com", "password": "wrong"})
    finally:
        assert user_login_failed.disconnect(function)
    assert answer.status_code == 401
    [line] = lines_of(caplog)
    assert "ama@example.com" in line


# A10


@pytest.mark.wrong("lab/practices/owasp_data.py:wrong_download")
def test_what_is_left_out_opens_the_door(routes: None, settings: Settings, record: Recorder) -> None:
    settings.MIDDLEWARE = []
    now = 1_790_000_000
    until = str(now + 60)
    links = {
        "a genuine link": f"?until={until}&signature={signature(until)}",
        "an expired one": f"?until={now - 1}&signature={signature(str(now - 1))}",
        "a forged signature": f"?until={until}&signature=forged",
        "no signature": f"?until={until}",
        "`until=soon`": "?until=soon&signature=forged",
        "nothing at all": "",
    }
    rows = ["| The link | `wrong_download` | `download` |", "| --- | ---: | ---: |"]
    answers = {}
    with time_machine.travel(now, tick=False):
        for name, query in links.items():
            answers[name] = [Client().get(f"/{kind}download/{query}").status_code for kind in ("wrong/", "")]
            rows.append(f"| {name} | {answers[name][0]} | {answers[name][1]} |")
    assert list(answers.values()) == [[200, 200], [403, 403], [403, 403], [200, 403], [200, 403], [200, 403]]
    record("owasp_data_download.md", "\n".join(rows))
