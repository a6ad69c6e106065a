"""Find and start a Chromium for the browser tests and the pictures.

python -m scripts.browser     print the path of the one that is used; fail if there is none
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Off: what a browser asks its maker for in the background, so that every request is the site's own.
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # as root, Chromium refuses to start with it
)


def find() -> str | None:
    """Return the path of an installed Chromium or Chrome, or of the build that Playwright installs."""
    for name in NAMES:
        path = shutil.which(name)
        # Ubuntu's chromium-browser is a shell script that asks for a snap.
        if path and not (name == "chromium-browser" and b"snap" in Path(path).read_bytes()[:4096]):
            return path
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    builds = sorted(folder.glob("chromium-*/chrome-linux*/chrome"))
    return str(builds[-1]) if builds else None


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a headless browser for as long as the context lasts.

    Raises:
        RuntimeError: No browser is installed.
    """
    path = find()
    if path is None:
        raise RuntimeError("there is no Chromium; scripts/install.sh system installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    found = find()
    print(found or "")
    sys.exit(0 if found else 1)
