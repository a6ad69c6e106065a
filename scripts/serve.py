"""Preview the site with live reload; a mistake in a page shows as a message, and serving goes on.

python -m scripts.serve --host 127.0.0.1 --port 8000
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.livereload import LiveReloadServer

from scripts.build import Site, use_git_dates
from scripts.pages import ROOT

if TYPE_CHECKING:
    from types import FrameType

WATCHED = ("docs", "includes", "overrides", "mkdocs.yml")


class Preview:
    """The site as last built without a mistake that stops the build, and the server that shows it."""

    def __init__(self, host: str, port: int, root: Path = ROOT) -> None:
        self.site = Site(root)
        self.url = f"http://{host}:{port}/"
        self.folder = Path(tempfile.mkdtemp(prefix="nexus-preview-"))
        self.builds = 0
        self.server = LiveReloadServer(self.rebuild, host, port, root=str(self.folder))
        self.server.error_handler = self.error_page

    def rebuild(self) -> None:
        """Build the site beside the one being shown; show it if there is something to show."""
        self.builds += 1
        new = self.folder / str(self.builds)
        if self.site.build(new, serve_url=self.url):
            old, self.server.root = self.server.root, str(new)
            if old != str(self.folder):
                shutil.rmtree(old, ignore_errors=True)
        else:
            shutil.rmtree(new, ignore_errors=True)
        for problem in self.site.problems:
            print(problem, flush=True)
        if not self.site.problems and self.builds > 1:
            print("Built again.", flush=True)

    def error_page(self, code: int) -> bytes | None:
        """Return the site's own page for an HTTP status, or the problems while there is no site."""
        page = Path(self.server.root) / f"{code}.html"
        if page.is_file():
            return page.read_bytes()
        return "\n\n".join(map(str, self.site.problems)).encode() or None

    def serve(self) -> None:
        """Build, then serve until the process is told to stop."""
        self.rebuild()
        for name in WATCHED:
            self.server.watch(str(self.site.root / name))
        logger = logging.getLogger("mkdocs.livereload")
        logger.setLevel(logging.INFO)
        logger.addHandler(Announcement(self.url))
        try:
            self.server.serve()  # type: ignore[no-untyped-call]
        except KeyboardInterrupt:
            print("Stopped.")
        finally:
            self.server.shutdown()
            shutil.rmtree(self.folder, ignore_errors=True)


class Announcement(logging.Handler):
    """Says where the preview is, once the server listens and watches the files."""

    def __init__(self, url: str) -> None:
        super().__init__(logging.INFO)
        self.url = url

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line of our own for the server's, and nothing for its other records."""
        if "Serving on" in record.getMessage():
            print(f"Serving on {self.url} (Ctrl+C stops it)", flush=True)


def port_is_taken(host: str, port: int) -> bool:
    """Return whether something listens on the address already."""
    try:
        LiveReloadServer(lambda: None, host, port, root=".").server_bind()
    except OSError:
        return True
    return False


def stop(_signal: int, _frame: FrameType | None) -> None:
    """End once, so that the temporary folder goes; a second signal on the way out changes nothing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Preview the site with live reload.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    missing = [name for name in WATCHED if not (ROOT / name).exists()]
    if missing:
        print(f"{', '.join(missing)} is missing. Bring it back: git checkout {' '.join(missing)}")
        return 1
    if port_is_taken(arguments.host, arguments.port):
        print(f"{arguments.host}:{arguments.port} is taken. Choose another port: make serve PORT={arguments.port + 1}")
        return 1
    os.chdir(ROOT)
    logging.getLogger("mkdocs").propagate = False
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    if notice := use_git_dates():
        print(notice)
    Preview(arguments.host, arguments.port).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
