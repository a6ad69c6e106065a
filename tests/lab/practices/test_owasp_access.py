"""Attacks on A01 to A05: each reaches its goal with the wrong version, and fails on the right one."""

from __future__ import annotations

import html
import http.server
import random
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client, override_settings
from django.utils.html import format_html

from lab.academy.models import Course, Enrollment
from lab.practices import owasp_access
from lab.practices.owasp_access import (
    RefusedError,
    code,
    cover,
    debug,
    heading,
    search,
    wrong_code,
    wrong_cover,
    wrong_debug,
    wrong_heading,
    wrong_search,
)
from scripts.pages import ROOT
from tests.lab.production import kept
from tests.lab.python.packages import release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django import Settings

    from lab.academy.models import User
    from tests.lab.people import People
    from tests.recording.files import Recorder

SECRET = b"the metadata of the machine"


# A01


def read_grades(user: User, address: str) -> list[int]:
    """Count upward in a URL, as this user; return the grades that came back."""
    client = Client()
    client.force_login(user)
    answers = [client.get(address.format(number)) for number in Enrollment.objects.values_list("pk", flat=True)]
    assert {answer.status_code for answer in answers} <= {200, 404}
    return [answer.json()["grade"] for answer in answers if answer.status_code == 200]


@pytest.mark.wrong("lab/practices/owasp_access.py:wrong_grade")
def test_counting_upward_shows_the_grades_of_others(people: People, settings: Settings, record: Recorder) -> None:
    settings.ROOT_URLCONF = "lab.practices.owasp_access"
    everything, own = Enrollment.objects.count(), Enrollment.objects.filter(learner__user=people.ama).count()
    wrong = len(read_grades(people.ama, "/wrong/grades/{}/"))
    right = len(read_grades(people.ama, "/grades/{}/"))
    assert (wrong, right) == (everything, own)
    assert wrong > right > 0
    assert Client().get("/grades/1/").status_code == 302, "who is not signed in gets nothing"
    lines = [
        f"Ama asks for each of {everything} enrollments; {own} are hers.",
        f"wrong_grade: {wrong} grades",
        f"grade:       {right} grades",
    ]
    record("owasp_access_grades.txt", "\n".join(lines))


class Inside(http.server.BaseHTTPRequestHandler):
    """A server inside the network; its other path sends the client on to the secret."""

    def do_GET(self) -> None:
        """Answer, or send on."""
        self.send_response(302 if self.path == "/moved" else 200)
        if self.path == "/moved":
            self.send_header("Location", f"http://{self.headers['Host']}/secret")
        self.end_headers()
        self.wfile.write(SECRET)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def inside() -> Iterator[str]:
    """Run a server that only this machine reaches."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Inside) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.wrong("lab/practices/owasp_access.py:wrong_cover")
def test_the_server_fetches_what_only_it_can_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "environ").write_bytes(SECRET)
    with inside() as address:
        assert wrong_cover(f"{address}/secret") == SECRET
        assert wrong_cover((tmp_path / "environ").as_uri()) == SECRET, "urlopen reads files as well"
        attacks = [
            f"{address}/secret",
            (tmp_path / "environ").as_uri(),
            "https://covers.example@127.0.0.1/",
            "https://covers.example.attacker.example/",
            "http://covers.example/",
        ]
        for url in attacks:
            with pytest.raises(RefusedError):
                cover(url)
        monkeypatch.setattr(owasp_access, "COVERS", {address})
        assert wrong_cover(f"{address}/moved") == SECRET
        with pytest.raises(HTTPError) as refused:
            cover(f"{address}/moved")
        refused.value.close()
        assert refused.value.code == 302
        assert cover(f"{address}/picture") == SECRET, "a listed server is asked"


# A02


@pytest.mark.django_db
@pytest.mark.wrong("lab/practices/owasp_access.py:wrong_debug")
def test_the_error_page_shows_what_the_code_holds(settings: Settings, record: Recorder) -> None:
    environ = {"DEBUG": "False"}
    pages = {}
    for reads in (wrong_debug, debug):
        with override_settings(DEBUG=reads(environ), ROOT_URLCONF="lab.practices.owasp_access"):
            answer = Client(raise_request_exception=False).get("/report/")
        assert answer.status_code == 500
        pages[reads.__name__] = answer.content.decode()
    assert "n0-secret" in pages["wrong_debug"]
    assert "n0-secret" not in pages["debug"]
    assert wrong_debug({}) is True
    assert debug({}) is False
    with pytest.raises(ValueError, match="neither true nor false"):
        debug({"DEBUG": "no!"})
    assert settings.SECRET_KEY not in pages["wrong_debug"], "a setting whose name says what it is"
    shown = re.search(r"<td>(api_key)</td>\s*<td class=\"code\"><pre>(.*?)</pre>", pages["wrong_debug"])
    assert shown
    text = re.sub(r"<[^>]+>\s*", " ", pages["debug"]).split()
    lines = [
        "DEBUG=False in the environment. What a visitor reads when the view fails:",
        f"wrong_debug: traceback, settings, local variables, among them {shown[1]} = {html.unescape(shown[2])}",
        f"debug:       {' '.join(text[-5:])}",
    ]
    record("owasp_access_debug.txt", "\n".join(lines))


# A03


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of a package that was replaced: the name and the version stay."""
    folder = tmp_path_factory.mktemp("index")
    bad = release("academy-grades", "1.1", code='\nprint("your keys, please")\n')
    (folder / bad.filename).write_bytes(bad.content)
    return folder


def install(index: Path, target: Path, section: str) -> subprocess.CompletedProcess[str]:
    """Install from a section of the page's requirements."""
    text = (ROOT / "lab/practices/owasp_access/requirements.txt").read_text(encoding="utf-8")
    lines = text.partition(f"[start:{section}]\n")[2].partition("# --8<--")[0]
    target.mkdir()
    (target / "requirements.txt").write_text(lines, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--no-index", "--no-deps", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--find-links", str(index), "--target", str(target / "site")]
    return subprocess.run(
        [*command, "-r", "requirements.txt"], cwd=target, env=kept(), capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.wrong("lab/practices/owasp_access/requirements.txt:wrong_requirements")
def test_a_replaced_wheel_is_installed_unless_its_hash_is_known(index: Path, tmp_path: Path, record: Recorder) -> None:
    wrong = install(index, tmp_path / "wrong", "wrong_requirements")
    assert wrong.returncode == 0, wrong.stderr
    assert "your keys" in (tmp_path / "wrong/site/academy_grades.py").read_text(encoding="utf-8")
    right = install(index, tmp_path / "right", "requirements")
    assert right.returncode == 1
    assert not (tmp_path / "right/site/academy_grades.py").exists()
    assert "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE" in right.stderr
    good = release("academy-grades", "1.1", code="\ndef best(grades):\n    return max(grades, key=grades.get)\n")
    text = (ROOT / "lab/practices/owasp_access/requirements.txt").read_text(encoding="utf-8")
    assert good.sha256 in text, "the hash is that of the wheel that was reviewed"


def test_every_requirement_of_this_repository_has_a_hash() -> None:
    files = sorted(ROOT.glob("requirements*.txt"))
    assert len(files) >= 5
    for file in files:
        pinned = [line for line in file.read_text(encoding="utf-8").splitlines() if "==" in line.partition("#")[0]]
        text = file.read_text(encoding="utf-8").replace("\\\n", "")
        locked = [line for line in text.splitlines() if "==" in line.partition("#")[0]]
        assert len(pinned) == len(locked) > 0
        assert all("--hash=sha256:" in line for line in locked), file.name


# A04


def undo(value: int, shift: int, mask: int) -> int:
    """Undo ``value ^= (value << shift) & mask``; a negative shift is one to the right."""
    result = value
    for _ in range(32):
        moved = result << shift if shift > 0 else result >> -shift
        result = value ^ (moved & mask)
    return result & 0xFFFFFFFF


def clone(seen: list[int]) -> random.Random:
    """Return a generator that goes on where the one that gave these 624 numbers stands."""
    state = []
    for value in seen:
        for shift, mask in ((-18, 0xFFFFFFFF), (15, 0xEFC60000), (7, 0x9D2C5680), (-11, 0xFFFFFFFF)):
            value = undo(value, shift, mask)
        state.append(value)
    copy = random.Random()  # noqa: S311  (it is the attacker's)
    copy.setstate((3, (*state, 624), None))
    return copy


@pytest.mark.wrong("lab/practices/owasp_access.py:wrong_code")
def test_who_has_seen_enough_codes_knows_the_next() -> None:
    copy = clone([wrong_code() for _ in range(624)])
    assert [copy.getrandbits(32) for _ in range(100)] == [wrong_code() for _ in range(100)]
    random.seed(2026)
    first = code()
    random.seed(2026)
    assert code() != first, "no state of the module decides it"
    assert len(code()) == 22


# A05

UNION = "%' UNION SELECT email FROM academy_learner -- "


@pytest.mark.wrong("lab/practices/owasp_access.py:wrong_search")
@pytest.mark.databases
def test_a_word_becomes_a_query(academy: None, database: str, record: Recorder) -> None:
    drafts = set(Course.objects.filter(published=False).values_list("title", flat=True))
    assert drafts
    assert not drafts & set(wrong_search(""))
    nobody = AnonymousUser()
    assert wrong_search("Py") == search(nobody, "Py") == ["Python"]
    stolen = wrong_search(UNION)
    assert "ama@example.com" in stolen
    assert len([title for title in stolen if "@" in title]) == 10
    assert search(nobody, UNION) == []
    assert not drafts & set(search(nobody, ""))
    if database == "postgresql":
        found = sorted(title for title in stolen if "@" in title)[:3]
        lines = [
            f'wrong_search("{UNION}")',
            f"    10 addresses: {', '.join(found)} …",
            f'search(nobody, "{UNION}")',
            f"    {search(nobody, UNION)}",
        ]
        record("owasp_access_union.txt", "\n".join(lines))


@pytest.mark.wrong("lab/practices/owasp_access.py:wrong_heading")
def test_a_title_becomes_a_script() -> None:
    title = "<script>send(document.cookie)</script>"
    assert "<script>" in wrong_heading(title)
    assert heading(title) == "<h1>&lt;script&gt;send(document.cookie)&lt;/script&gt;</h1>"
    link = "javascript:send(document.cookie)"
    assert link in format_html('<a href="{}">more</a>', link), "escaping keeps it as it is"


def rules_that_find(file: Path) -> set[str]:
    """Return which of Ruff's security rules find something in a file."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--ignore-noqa", "--select", "S"]
    found = subprocess.run(
        [*command, "--output-format", "concise", str(file)], env=kept(), capture_output=True, text=True, check=False
    )
    return {line.split()[1] for line in found.stdout.splitlines() if ".py:" in line}


def test_the_linter_knows_the_wrong_lines(tmp_path: Path) -> None:
    file = ROOT / "lab/practices/owasp_access.py"
    assert rules_that_find(file) == {"S308", "S310", "S608"}
    chosen = file.read_text(encoding="utf-8").replace("random.getrandbits(32)", "random.choice(range(2**32))")
    (tmp_path / "chosen.py").write_text(chosen, encoding="utf-8")
    assert rules_that_find(tmp_path / "chosen.py") == {"S308", "S310", "S311", "S608"}
