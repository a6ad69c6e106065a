"""The built site, a server for it, and a real browser."""

from __future__ import annotations

import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from bs4 import BeautifulSoup

from scripts.build import Site, use_git_dates
from scripts.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page


class Handler(SimpleHTTPRequestHandler):
    """Serves the site as GitHub Pages does: an unknown address gets 404.html."""

    site: ClassVar[Path]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with the site's own page where the address is unknown."""
        if code != 404:
            super().send_error(code, message, explain)
            return
        body = (self.site / "404.html").read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadingHTTPServer]:
    """A server for a site below a folder, as GitHub Pages serves a project."""
    folder = tmp_path_factory.mktemp("pages")
    Handler.site = folder / "alx-project-nexus"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as started:
        Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


@pytest.fixture(scope="session")
def site(server: ThreadingHTTPServer) -> Path:
    """The folder of a site built for this run, as a fork that sets nothing but its address builds it."""
    os.chdir(ROOT)
    use_git_dates()
    build = Site()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SITE_URL", f"http://127.0.0.1:{server.server_address[1]}/alx-project-nexus/")
        assert build.build(Handler.site), "\n".join(map(str, build.problems))
    return Handler.site


@pytest.fixture(scope="session")
def address(server: ThreadingHTTPServer, site: Path) -> str:
    """The address of the start page, ending in a slash."""
    return f"http://127.0.0.1:{server.server_address[1]}/{site.name}/"


@pytest.fixture(scope="session")
def html(site: Path) -> dict[str, BeautifulSoup]:
    """Every page of the site, parsed, by its address relative to the start page."""
    return {
        file.relative_to(site).as_posix().removesuffix("index.html"): BeautifulSoup(
            file.read_text(encoding="utf-8"), "html.parser"
        )
        for file in sorted(site.rglob("*.html"))
    }


class Visit:
    """A browser window on the site that remembers what it asked for and what it complained about."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.context: BrowserContext = browser.new_context(base_url=address, **options)
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self.hear)
        self.page.set_default_timeout(10_000)

    def hear(self, message: Any) -> None:
        """Remember a warning or an error of the console."""
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def paths(self) -> list[str]:
        """Return what was asked for, relative to the start page; a foreign address stays whole."""
        return [url.removeprefix(self.address) for url in self.requests]

    def faults(self) -> list[str]:
        """Return what was asked of another server, and what was complained about."""
        foreign = [url for url in self.requests if not url.startswith((self.address, "data:", "blob:"))]
        return [f"foreign request: {url}" for url in foreign] + self.complaints

    def forget(self) -> None:
        """Forget requests and complaints, to begin with another page."""
        self.requests.clear()
        self.complaints.clear()

    def check(self) -> None:
        """Fail if another server was asked for something, or if anything was complained about."""
        assert self.faults() == []


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """A window of 1280 by 900 pixels that must stay without complaints and foreign requests."""
    window = Visit(browser, address, viewport={"width": 1280, "height": 900})
    yield window
    window.context.close()
    window.check()
