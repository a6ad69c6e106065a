"""Tiny packages in an index of our own, and programs that see nothing else of the machine.

``wheel`` writes a wheel byte for byte the same on every machine, so its hash may stand in a recording.
``Indexes`` serves wheels over HTTP as PyPI does (PEP 503, 691, 658, 700): a path for each index, and
releases that can appear, be yanked or be replaced while it runs. ``surroundings`` is the environment
in which the package managers of ``.venv/managers`` run.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Self

import pytest

from scripts.pages import ROOT
from tests.recording import shell as shells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
MANAGERS = ROOT / ".venv" / "managers" / "bin"
MISSING = f"{MANAGERS.relative_to(ROOT)} is missing: scripts/install.sh managers"
NEEDED = pytest.mark.skipif(not MANAGERS.exists(), reason=MISSING)
READERS = "http://127.0.0.1:8000"  # the server's address, as the pages write it
SETTINGS = re.compile(r"PIP|UV_|POETRY|VIRTUAL_ENV|WORKON|XDG|CONDA|PYENV|\w+_PROXY$", re.IGNORECASE)
UNSTABLE = (
    (re.compile(r"\bin (\d+m )?[\d.]+(ms|s)$", re.MULTILINE), "in …"),
    (re.compile(r"(Using Python) [\d.]+"), r"\1 …"),
    (re.compile(r"(Updated Pipfile\.lock \()\w+"), r"\1…"),  # the hash covers the server's address
    (re.compile(r"^(Using CPython) .*", re.MULTILINE), r"\1 …"),
    (re.compile(r"^bash: line \d+: ", re.MULTILINE), "bash: "),
    (re.compile(r"^index \w+\.\.\w+ ", re.MULTILINE), "index … "),  # git's, of files that hold the server's address
)


@dataclass(frozen=True)
class Release:
    """One wheel of an index."""

    name: str
    version: str
    content: bytes = field(repr=False)
    metadata: bytes = field(repr=False)
    uploaded: str = "2026-01-05T09:00:00Z"
    yanked: str | bool = False
    python: str = ">=3.9"

    @property
    def filename(self) -> str:
        """The name of the file."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"

    @property
    def sha256(self) -> str:
        """The hash of the file."""
        return hashlib.sha256(self.content).hexdigest()


def release(
    name: str,
    version: str,
    *requires: str,
    code: str = "",
    uploaded: str = "2026-01-05T09:00:00Z",
    yanked: str | bool = False,
    extras: Mapping[str, str] | None = None,
    scripts: str = "",
) -> Release:
    """Return a release whose wheel holds one module, named as the package.

    Args:
        name: The package.
        version: Its version; the module holds it as ``__version__``.
        requires: What it needs (PEP 508).
        code: More of the module.
        uploaded: When it appeared in the index.
        yanked: Why it was withdrawn, if it was.
        extras: The name of each extra, and what it needs.
        scripts: Lines of ``console_scripts``.
    """
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", "Requires-Python: >=3.9"]
    lines += [f"Requires-Dist: {need}" for need in requires]
    for extra, need in (extras or {}).items():
        lines += [f"Provides-Extra: {extra}", f'Requires-Dist: {need}; extra == "{extra}"']
    metadata = "\n".join([*lines, ""])
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": f'"""The package {name}."""\n\n__version__ = "{version}"\n{code}',
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: academy 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if scripts:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    content = wheel(files, f"{info}/RECORD")
    return Release(name, version, content, metadata.encode(), uploaded=uploaded, yanked=yanked)


def wheel(files: Mapping[str, str], record: str) -> bytes:
    """Return a wheel of these files: not compressed, and from a fixed moment."""
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    rows.append(f"{record},,")
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for path, text in [*files.items(), (record, "\n".join(rows) + "\n")]:
            entry = zipfile.ZipInfo(path, (2026, 1, 5, 9, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return written.getvalue()


class Indexes:
    """Package indexes on one server on 127.0.0.1: ``/<index>/simple/``, in threads that end with the block."""

    def __init__(self, **indexes: list[Release]) -> None:
        self.releases = {name: list(found) for name, found in indexes.items()}
        self.asked: list[str] = []
        self.advisories: dict[tuple[str, str], dict[str, str]] = {}
        self.questions: list[dict[str, str]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def host(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def url(self, index: str = "pypi") -> str:
        """Return the address of one index."""
        return f"{self.host}/{index}/simple/"

    def publish(self, *releases: Release, index: str = "pypi") -> None:
        """Add releases, in place of those with the same file name."""
        names = {new.filename for new in releases}
        kept = [old for old in self.releases[index] if old.filename not in names]
        self.releases[index] = [*kept, *releases]

    def page(self, index: str, name: str) -> dict[str, object] | None:
        """Return what an index says about a package (PEP 691)."""
        found = [known for known in self.releases.get(index, []) if known.name == name]
        if not found:
            return None
        return {
            "meta": {"api-version": "1.1"},
            "name": name,
            "versions": [known.version for known in found],
            "files": [
                {
                    "filename": known.filename,
                    "url": f"/{index}/files/{known.filename}",
                    "hashes": {"sha256": known.sha256},
                    "requires-python": known.python,
                    "core-metadata": {"sha256": hashlib.sha256(known.metadata).hexdigest()},
                    "upload-time": known.uploaded,
                    "size": len(known.content),
                    "yanked": known.yanked,
                }
                for known in found
            ],
        }

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Return the type and the body of an answer, None if there is nothing."""
        self.asked.append(path)
        index, _, rest = path.strip("/").partition("/")
        if rest.startswith("simple/"):
            page = self.page(index, rest.removeprefix("simple/"))
            return ("application/vnd.pypi.simple.v1+json", json.dumps(page).encode()) if page else None
        if path.startswith("/v1/vulns/"):
            known_ids = {advisory["id"]: advisory for advisory in self.advisories.values()}
            return "application/json", json.dumps(known_ids[path.removeprefix("/v1/vulns/")]).encode()
        for known in self.releases.get(index, []):
            if rest == f"files/{known.filename}":
                return "application/octet-stream", known.content
            if rest == f"files/{known.filename}.metadata":
                return "application/octet-stream", known.metadata
        return None

    def vulnerabilities(self, batch: bytes) -> bytes:
        """Answer as the database OSV does: the advisories for each package and version that is asked for."""
        queries = json.loads(batch)["queries"]
        asked = [{"name": query["package"]["name"], "version": query["version"]} for query in queries]
        self.questions += asked
        found = [self.advisories.get((query["name"], query["version"])) for query in asked]
        short = [{"vulns": [{key: one[key] for key in ("id", "modified")}]} if one else {} for one in found]
        return json.dumps({"results": short}).encode()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Return what handles a request."""
        indexes = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(indexes.answer(self.path.partition("?")[0]))

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_POST(self) -> None:
                batch = self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(("application/json", indexes.vulnerabilities(batch)))

            def reply(self, found: tuple[str, bytes] | None) -> None:
                kind, body = found or ("text/plain", b"not found")
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def academy() -> list[Release]:
    """Return the packages that the pages install."""
    return [
        release("academy-scale", "1.0"),
        release("academy-scale", "1.1", uploaded="2026-03-02T09:00:00Z"),
        release("academy-scale", "2.0", uploaded="2026-06-01T09:00:00Z"),
        release("academy-grades", "1.0", "academy-scale>=1,<2"),
        release("academy-grades", "1.1", "academy-scale>=1,<2", uploaded="2026-04-06T09:00:00Z"),
        release("academy-grades", "2.0", "academy-scale>=2", uploaded="2026-06-01T09:00:00Z"),
        release("academy-clock", "1.0", 'academy-tzdata>=1; sys_platform == "win32"'),
        release("academy-tzdata", "1.0"),
        release("academy-checks", "1.0"),
    ]


@contextmanager
def alone() -> Iterator[None]:
    """Hide the settings of the person who runs the tests from every program that they start."""
    with pytest.MonkeyPatch.context() as hidden:
        for name in [name for name in os.environ if SETTINGS.match(name)]:
            hidden.delenv(name)
        yield


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which the managers find settings and caches below one folder, and nothing else.

    Args:
        home: Stands for the home directory.
        more: Further variables.
    """
    return {
        "PATH": f"{MANAGERS}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "HOME": str(home),
        "XDG_CONFIG_DIRS": str(home / ".config"),
        "LANG": "C.UTF-8",
        "COLUMNS": "88",
        "NO_COLOR": "1",
        "NO_PROXY": "*",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_PROGRESS_BAR": "off",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_CACHE_DIR": str(home / ".cache" / "pip"),
        "UV_CACHE_DIR": str(home / ".cache" / "uv"),
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "POETRY_INSTALLER_PARALLEL": "false",
        "POETRY_KEYRING_ENABLED": "false",
        "POETRY_NO_INTERACTION": "1",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_NOSPIN": "1",
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_YES": "1",
        **more,
    }


class Desk:
    """A folder with an index, in which recorded shell sessions run one after the other.

    Args:
        home: Stands for the home directory.
        indexes: The server; on the pages it is ``http://127.0.0.1:8000``.
    """

    def __init__(self, home: Path, indexes: Indexes) -> None:
        self.home = home
        self.indexes = indexes

    def put(self, source: Path, folder: str) -> Path:
        """Copy a folder or a file of the lab into a folder below home, with the server's address; return the folder."""
        there = self.home / folder
        there.mkdir(parents=True, exist_ok=True)
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                copy = there / (path.name if source.is_file() else path.relative_to(source))
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(path.read_text(encoding="utf-8").replace(READERS, self.indexes.host), encoding="utf-8")
        return there

    def run(self, *lines: str, folder: str, **more: str) -> list[tuple[str, int]]:
        """Run commands; return what each printed, and its exit status."""
        return shells.run(list(lines), self.home / folder, surroundings(self.home, **more))

    def play(self, session: Path, folder: str, **more: str) -> str:
        """Run a recorded session again; return what it is now."""
        transcript = session.read_text(encoding="utf-8").replace(READERS, self.indexes.host)
        lines = [command for command, _ in shells.commands(transcript)]
        parts = []
        for line, (output, status) in zip(lines, self.run(*lines, folder=folder, **more), strict=True):
            assert output or not status, f"$ {line.rstrip()} ends with status {status} and prints nothing"
            parts.append(f"$ {line.rstrip()}\n" + (f"{output}\n" if output else ""))
        return self.plain("".join(parts))

    def plain(self, text: str) -> str:
        """Return a text without what differs from run to run."""
        text = text.replace(self.indexes.host, READERS).replace(str(self.home), "~").replace(str(MANAGERS.parent), "…")
        for pattern, stable in UNSTABLE:
            text = pattern.sub(stable, text)
        return text
