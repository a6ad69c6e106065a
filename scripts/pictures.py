"""Take the pictures that show the site: two for the README, one for cards in social media.

    python -m scripts.pictures

They come from the site as it is, built in a temporary folder and opened in a real browser.
"""

from __future__ import annotations

import os
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from scripts.browser import chromium
from scripts.build import build
from scripts.pages import ROOT

README_PICTURES = ROOT / ".github" / "pictures"
CARD = ROOT / "overrides" / "assets" / "social.png"

# The card is the start page without what one clicks on.
ONLY_THE_TITLE = """
    .md-tabs, .md-search, .md-header__option, .grid, h2, .highlight, .md-button { display: none !important; }
    header label { visibility: hidden; }
    .md-header__title { font-size: 1.6rem !important; margin-left: -1.8rem !important; }
    .md-grid { margin: 0 3rem; }
    .nx-hero { padding: 3.5rem 0 14rem !important; }
    .nx-hero h1 { font-size: 3rem !important; }
    .nx-hero p { font-size: 1.3rem !important; max-width: 46rem !important; }
    .nx-hero abbr { border: 0; }
"""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line in the terminal for each."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


def take(address: str) -> None:
    """Photograph the site at an address."""
    README_PICTURES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name in ("light", "dark"):
            context = browser.new_context(color_scheme=name, viewport={"width": 1280, "height": 800})
            page = context.new_page()
            page.goto(address, wait_until="networkidle")
            page.screenshot(path=README_PICTURES / f"{name}.png")
            context.close()
        page = browser.new_page(viewport={"width": 1200, "height": 630})
        page.goto(address, wait_until="networkidle")
        page.add_style_tag(content=ONLY_THE_TITLE)
        page.screenshot(path=CARD)


def main() -> int:
    """Run the command line; return its exit status."""
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        for problem in build(site):
            print(problem, file=sys.stderr)
        if not site.exists():
            return 1
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(site)))
        Thread(target=server.serve_forever, daemon=True).start()
        take(f"http://127.0.0.1:{server.server_address[1]}/")
        server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
