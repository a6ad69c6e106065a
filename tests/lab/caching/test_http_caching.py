"""What Django says to caches, what a 304 costs, and what a real browser keeps."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware
from django.middleware.http import ConditionalGetMiddleware
from django.test import Client, RequestFactory
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import cache_page

from lab.academy.models import Certificate, Learner
from lab.caching.http_caching import (
    by_device,
    catalog,
    certificates,
    certificates_by_tag,
    course,
    exam,
    menu,
    my_grades,
    newest,
    wrong_names,
)
from scripts.browser import chromium, find
from tests.lab.marks import recorded_on_5_2
from tests.recording.sql import Queries, queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page
    from pytest_django import Settings

    from tests.recording.files import Recorder

FACTORY = RequestFactory()


def asked(tag: str | None = None) -> HttpRequest:
    """Return a GET, of a client that has the answer with this tag."""
    return FACTORY.get("/certificates/", headers={"If-None-Match": tag} if tag else {})


# What Django says


def test_the_decorators(session: Callable[..., None]) -> None:
    session(
        "http_caching_decorators.pycon",
        catalog=catalog,
        my_grades=my_grades,
        exam=exam,
        course=course,
        request=FACTORY.get("/"),
        preview=FACTORY.get("/?preview=1"),
    )
    assert course(FACTORY.get("/"))["Cache-Control"] == "public, max-age=60"


def test_a_shorter_max_age_wins() -> None:
    response = HttpResponse(headers={"Cache-Control": "max-age=60"})
    patch_cache_control(response, max_age=600)
    assert response["Cache-Control"] == "max-age=60"


def test_the_page_cache_of_django_reads_some_of_it() -> None:
    for said, kept in (("no-store", 0), ("private", 0), ("no-cache", 0), ("s-maxage=0", 1), ("max-age=0", 1)):
        answers: list[str] = []

        @cache_page(60)
        def view(request: HttpRequest, answers: list[str] = answers, said: str = said) -> HttpResponse:
            answers.append(said)
            return HttpResponse(headers={"Cache-Control": said})

        for _ in range(2):
            view(FACTORY.get(f"/{said}/"))
        assert len(answers) == 2 - kept, said


# What a 304 costs


@pytest.mark.django_db
@pytest.mark.databases("postgresql")
def test_the_middleware_saves_bytes_and_the_decorator_work(academy: None, record: Recorder) -> None:
    def again(view: Any) -> Queries:
        """Ask twice, the second time with the tag, and return what that sent to the database."""
        first = view(asked())
        assert first.status_code == 200
        with queries() as sent:
            second = view(asked(first["ETag"]))
        assert second.status_code == 304
        assert second.content == b""
        assert second["Cache-Control"] == "no-cache"
        assert len(sent.statements) == 1
        return sent

    record("http_caching_whole.sql", again(ConditionalGetMiddleware(certificates)).text)
    record("http_caching_tag.sql", again(certificates_by_tag).text)
    with queries() as sent:
        certificates_by_tag(asked())
    assert len(sent.statements) == 2, "who has nothing pays for the tag, too"


@pytest.mark.django_db
def test_the_tag_changes_with_every_certificate(academy: None) -> None:
    before = newest(asked())
    last = Certificate.objects.latest("pk")
    enrollment = last.enrollment
    last.delete()
    without = newest(asked())
    Certificate.objects.create(enrollment=enrollment)
    assert len({before, without, newest(asked())}) == 3
    assert certificates_by_tag(asked(before)).status_code == 200


@pytest.mark.django_db
@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/caching/http_caching.py:wrong_tag")
def test_a_tag_that_knows_nothing_of_names(academy: None, session: Callable[..., None]) -> None:
    holder = Certificate.objects.order_by("pk")[0].enrollment.learner
    session("http_caching_wrong.pycon", wrong_names=wrong_names, asked=asked, Learner=Learner, holder=holder)
    assert b"Mensah" in wrong_names(asked()).content


def test_compression_makes_a_tag_weak_and_304_goes_on() -> None:
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse("Databases " * 100)

    site: Any = GZipMiddleware(ConditionalGetMiddleware(page))
    compressed = FACTORY.get("/", headers={"Accept-Encoding": "gzip"})
    tag = site(compressed)["ETag"]
    assert tag.startswith('W/"')
    again = FACTORY.get("/", headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert site(again).status_code == 304


@pytest.mark.django_db
def test_required_login_makes_every_answer_vary_on_the_cookie(settings: Settings, client: Client) -> None:
    settings.ROOT_URLCONF = "lab.caching.http_caching"
    seen = client.get("/catalog/").get("Vary")
    assert seen == ("Cookie" if django.VERSION < (6, 0) else None)
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "LoginRequired" not in name]
    assert "Vary" not in Client().get("/catalog/")


@recorded_on_5_2("Vary: Cookie with LoginRequiredMiddleware")
@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
def test_304_on_the_wire(settings: Settings, academy: None, wire: Callable[..., Any], record: Recorder) -> None:
    settings.ROOT_URLCONF = "lab.caching.http_caching"
    tag = wire("GET", "/certificates/tagged/").headers("ETag")[0]
    again = wire("GET", "/certificates/tagged/", {"If-None-Match": f"W/{tag}"})
    assert again.status == 304
    record("http_caching_304.http", again.text)
    assert wire("GET", "/certificates/").status == 200
    assert "stale-while-revalidate=30" in wire("GET", "/catalog/").headers("Cache-Control")[0]


# Variants

AGENTS = [
    f"Mozilla/5.0 ({system}) Firefox/{release}.0" for system in ("Mobile", "Linux") for release in range(120, 145)
]


def test_variants(monkeypatch: pytest.MonkeyPatch, record: Recorder) -> None:
    made: list[int] = []
    make = HttpResponse.__init__

    def counted(self: HttpResponse, *args: Any, **named: Any) -> None:
        made.append(1)
        make(self, *args, **named)

    monkeypatch.setattr(HttpResponse, "__init__", counted)
    rows = []
    for name, view in (("`Vary: User-Agent`", menu), ("the same, behind `by_device`", by_device(menu))):
        cache.clear()
        made.clear()
        for agent in AGENTS * 2:
            answer = view(FACTORY.get("/", headers={"User-Agent": agent}))
            assert answer.content.decode() == f"Menu: {'Mobile' if 'Mobile' in agent else 'Desktop'}"
        rows.append((name, len(AGENTS), 2 * len(AGENTS), len(made)))
    assert [row[-1] for row in rows] == [len(AGENTS), 2]
    assert by_device(menu)(FACTORY.get("/")).content == b"Menu: Desktop", "a client may send no User-Agent"
    head = "| The answer says | Browsers | Requests | Answers made |\n| --- | ---: | ---: | ---: |\n"
    record("http_caching_vary.md", head + "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows))


# A real browser

LONG_AGO = formatdate(1_700_000_000, usegmt=True)
OLD = {"Age": "120"}  # it has been in some cache for two minutes already: nobody has to wait
TAG = {"ETag": '"1"'}
ANSWERS: dict[str, dict[str, str]] = {
    "nothing": {},
    "`Last-Modified`, years ago": {"Last-Modified": LONG_AGO},
    "`max-age=60`": {"Cache-Control": "max-age=60"},
    "`max-age=60`, two minutes old": {"Cache-Control": "max-age=60", **OLD},
    "`max-age=60`, two minutes old, `ETag`": {"Cache-Control": "max-age=60", **OLD, **TAG},
    "`no-cache`, `ETag`": {"Cache-Control": "no-cache", **TAG},
    "`no-store`, `ETag`": {"Cache-Control": "no-store", **TAG},
    "`private, max-age=60`": {"Cache-Control": "private, max-age=60"},
    "`s-maxage=60`": {"Cache-Control": "s-maxage=60"},
    "`max-age=60`, `Vary: X-Language`; en, fr, en": {"Cache-Control": "max-age=60", "Vary": "X-Language"},
}
SWR = {"Cache-Control": "max-age=60, stale-while-revalidate=300", **TAG}
IF_ERROR = {"Cache-Control": "max-age=60, stale-if-error=300", **OLD, **TAG}
IMMUTABLE = {"Cache-Control": "max-age=60, immutable", **TAG}


@dataclass
class Origin:
    """A server that counts. ``version`` is the body; ``headers`` go with it; ``fails`` makes it answer 503."""

    url: str = ""
    version: int = 1
    fails: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        if not handler.path.startswith("/answer"):  # a page that asks
            page = "<!doctype html><link rel=icon href='data:,'>"
            if handler.path.startswith("/page"):
                page += f"<script src='{handler.path.removeprefix('/page')}'></script>"
            self.send(handler, 200, page, {"Content-Type": "text/html"})
            return
        known = handler.headers.get("If-None-Match") == self.headers.get("ETag", "none")
        status = 503 if self.fails else 304 if known else 200
        self.statuses.append(status)
        self.send(handler, status, str(self.version), {"Content-Type": "text/javascript", **self.headers})

    def send(self, handler: BaseHTTPRequestHandler, status: int, body: str, headers: dict[str, str]) -> None:
        """Write an answer."""
        content = b"" if status == 304 else body.encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if status != 304:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def serving() -> Iterator[Origin]:
    """Run an origin server in threads of this process."""
    origin = Origin()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # Chromium sends no entity tag back to a server of HTTP/1.0

        def do_GET(self) -> None:
            origin.answer(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        origin.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield origin
        server.shutdown()
        thread.join()


def fetch(page: Page, path: str, language: str = "en") -> str:
    """Return the status and the body that a script on the page gets."""
    script = """([path, language]) => fetch(path, {headers: {"X-Language": language}})
        .then(async answer => answer.status + " " + await answer.text())"""
    return str(page.evaluate(script, [path, language]))


def experiment() -> dict[str, tuple[list[str], list[int]]]:
    """Ask a Chromium for answers with different headers; return what it saw and what its server answered."""
    seen: dict[str, tuple[list[str], list[int]]] = {}
    with serving() as origin, chromium() as browser, browser.new_context() as context:
        page = context.new_page()
        page.goto(origin.url)

        def begin(name: str, headers: dict[str, str]) -> str:
            """Return a path that nobody has asked for yet."""
            origin.headers, origin.statuses, origin.version, origin.fails = headers, [], 1, False
            seen[name] = ([], origin.statuses)
            return f"/answer/{len(seen)}"

        for name, headers in ANSWERS.items():
            path = begin(name, headers)
            seen[name][0].extend(fetch(page, path, language) for language in ("en", "fr", "en"))

        path = begin("stale-while-revalidate", {**SWR, **OLD})
        first = fetch(page, path)
        origin.version, origin.headers = 2, {**SWR, "ETag": '"2"'}
        second = third = fetch(page, path)
        for _ in range(100):  # until the answer from behind the scenes is there
            if (third := fetch(page, path)) != second:
                break
            time.sleep(0.05)
        seen["stale-while-revalidate"][0].extend([first, second, third])

        path = begin("stale-if-error", IF_ERROR)
        first = fetch(page, path)
        origin.fails = True
        seen["stale-if-error"][0].extend([first, fetch(page, path)])

        for name, headers in (("immutable", IMMUTABLE), ("not immutable", SWR)):
            path = begin(name, headers)
            page.goto(origin.url + path)
            page.reload()
        for name, headers in (("an immutable script of a page", IMMUTABLE), ("a script of a page", SWR)):
            path = begin(name, headers)
            page.goto(f"{origin.url}/page{path}")
            page.reload()
    return seen


@pytest.mark.browser
@pytest.mark.slow
def test_what_a_browser_keeps(record: Recorder) -> None:
    if find() is None:
        pytest.skip("There is no Chromium: scripts/install.sh system installs one")
    with ThreadPoolExecutor(1) as own:  # Playwright leaves an event loop in its thread
        seen = own.submit(experiment).result()

    def told(statuses: list[int]) -> str:
        return ", ".join(map(str, statuses))

    rows = [f"| {name} | {len(seen[name][1])} | {told(seen[name][1])} |" for name in ANSWERS]
    head = "| The answer says | Requests | The server answered |\n| --- | ---: | --- |\n"
    record("http_caching_browser.md", head + "\n".join(rows))
    renewed, failed = seen["stale-while-revalidate"], seen["stale-if-error"]
    assert renewed == (["200 1", "200 1", "200 2"], [200, 200])
    assert failed == (["200 1", "503 1"], [200, 503])
    assert seen["immutable"][1] == seen["not immutable"][1] == [200, 304]
    assert seen["an immutable script of a page"][1] == seen["a script of a page"][1] == [200]
    lines = [
        f"| stale-while-revalidate | 3 | {told(renewed[1])} | {', '.join(body.split()[1] for body in renewed[0])} |",
        f"| stale-if-error, and the server fails | 2 | {told(failed[1])} | 1, the error |",
    ]
    head = "| Stale by a minute, and | Asked | The server answered | The reader saw version |\n"
    head += "| --- | ---: | --- | --- |\n"
    record("http_caching_stale.md", head + "\n".join(lines))
