"""The preview: reloads on a saved file, survives mistakes, says so when the port is taken."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.tools.conftest import Copy

pytestmark = pytest.mark.slow

PAGE = "docs/concepts/caching/index.md"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def eventually(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Wait until something holds; return whether it did in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False


class Preview:
    """`python -m scripts.serve`, running on a copy of the project."""

    def __init__(self, copy: Copy, output: Path) -> None:
        self.copy, self.output, self.port = copy, output, free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scripts.serve", "--port", str(self.port)],
                cwd=copy.root,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """Ask the preview to end, twice, as an impatient author does; it must end in good order."""
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(timeout=20) == 0
        finally:
            self.process.kill()
        assert "Traceback" not in self.printed()

    def printed(self) -> str:
        """Return what the preview has printed so far."""
        return self.output.read_text(encoding="utf-8")

    def get(self, path: str) -> str:
        """Return the body of an answer, whatever its status; an empty text while there is none."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310  (an address of our own)
                body: bytes = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            return ""
        return body.decode()


@pytest.fixture
def preview(copy: Copy, tmp_path: Path) -> Iterator[Preview]:
    """A running preview."""
    started = Preview(copy, tmp_path / "output")
    yield started
    started.stop()


def test_a_saved_file_reloads_the_page(preview: Preview, browser: Browser) -> None:
    assert eventually(lambda: "Serving on" in preview.printed())
    page = browser.new_page()
    page.goto(preview.url + "concepts/caching/")
    preview.copy.edit(PAGE, "# Caching\n", "# Caching, saved a moment ago\n")
    expect(page.locator("article h1")).to_contain_text("saved a moment ago", timeout=15_000)
    preview.copy.edit("includes/glossary.md", "*[TTL]: Time to live", "*[TTL]: Time that is left")
    expect(page.locator("article abbr[title^='Time that is left']").first).to_be_attached(timeout=15_000)
    page.wait_for_load_state("load")  # Chromium can hang when it is told to close a page that reloads
    page.close()


@pytest.mark.parametrize(
    ("path", "old", "new", "says"),
    [
        (PAGE, "# Caching\n", "# Caching\n\n[a](gone.md)\n", "the link gone.md leads to no file"),
        (PAGE, "# Caching\n", '# Caching\n\n--8<-- "gone.py"\n', "the quoted gone.py does not exist"),
        (PAGE, "title: Caching", "title: [", "the front matter does not parse"),
        ("mkdocs.yml", "\nwatch:\n", "\nwatch: [\n", "mkdocs.yml:"),
        ("mkdocs.yml", "  - abbr\n", "  - no_such_ext\n", "no_such_ext"),
        ("overrides/main.html", "{% endblock %}", "{% endblok %}", "overrides/main.html"),
    ],
)
def test_a_mistake_shows_and_the_preview_goes_on(preview: Preview, path: str, old: str, new: str, says: str) -> None:
    assert eventually(lambda: "Serving on" in preview.printed())
    preview.copy.edit(path, old, new)
    assert eventually(lambda: says in preview.printed()), preview.printed()
    assert "Caching" in preview.get("concepts/caching/")
    preview.copy.edit(path, new, old)
    assert eventually(lambda: "Built again." in preview.printed()), preview.printed()
    preview.copy.edit(PAGE, "# Caching\n", "# Caching, mended\n")
    assert eventually(lambda: "Caching, mended" in preview.get("concepts/caching/"))


def test_a_mistake_at_the_start_shows_in_the_browser_too(copy: Copy, tmp_path: Path) -> None:
    copy.edit("mkdocs.yml", "\nwatch:\n", "\nwatch: [\n")
    preview = Preview(copy, tmp_path / "output")
    try:
        assert eventually(lambda: "mkdocs.yml:" in preview.get(""))
        copy.edit("mkdocs.yml", "\nwatch: [\n", "\nwatch:\n")
        assert eventually(lambda: "every claim runs" in preview.get(""))
    finally:
        preview.stop()


def test_a_page_in_another_encoding_shows_and_the_preview_goes_on(preview: Preview) -> None:
    assert eventually(lambda: "Serving on" in preview.printed())
    page = preview.copy.root / PAGE
    good = page.read_bytes()
    page.write_bytes(good + b"\xe9")
    assert eventually(lambda: "is not UTF-8" in preview.printed()), preview.printed()
    assert "Caching" in preview.get("concepts/caching/")
    page.write_bytes(good)
    assert eventually(lambda: "Built again." in preview.printed()), preview.printed()


def test_a_missing_configuration_gives_one_line(copy: Copy) -> None:
    (copy.root / "mkdocs.yml").unlink()
    run = copy.run(sys.executable, "-m", "scripts.serve", "--port", str(free_port()))
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout == "mkdocs.yml is missing. Bring it back: git checkout mkdocs.yml\n"


def test_a_taken_port_gives_one_line(copy: Copy) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        run = copy.run("make", "serve", f"PORT={port}")
    assert run.returncode != 0
    assert run.stdout == f"127.0.0.1:{port} is taken. Choose another port: make serve PORT={port + 1}\n"
    assert [line for line in run.stderr.splitlines() if not line.startswith("make")] == []


def test_host_and_port_can_be_set(copy: Copy, tmp_path: Path) -> None:
    port = free_port()
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            ["make", "serve", f"PORT={port}", "HOST=0.0.0.0"],
            cwd=copy.root,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        assert eventually(lambda: f"Serving on http://0.0.0.0:{port}/" in output.read_text())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            assert answer.status == 200
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=20)
    assert "Installing" not in output.read_text()
