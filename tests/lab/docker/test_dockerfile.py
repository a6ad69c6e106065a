"""The lab's image in six steps: what each adds to the base image, and what is built again after a change."""

from __future__ import annotations

import io
import re
import secrets
import shutil
import subprocess
import sys
import time
import zipfile
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from lab.docker.containers import files
from scripts.pages import ROOT
from tests.lab.docker.conftest import docker
from tests.linters import hadolint
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

FOLDER = ROOT / "lab" / "docker" / "dockerfile"
BASE = "python:3.13-slim-trixie"
STEPS = {  # the file of each step, and whether .dockerignore is there
    "1 naive": ("1-naive.Dockerfile", False),
    "2 packages before code": ("2-order.Dockerfile", False),
    "3 pinned with hashes": ("3-pinned.Dockerfile", False),
    "4 .dockerignore": ("4-ignore.Dockerfile", True),
    "5 cache mount": ("5-cache.Dockerfile", True),
    "6 two stages: the repository's own": ("Dockerfile", True),
}
CHANGED = "lab/urls.py"  # gets a line more


def dockerfile(step: str) -> str:
    """Return the Dockerfile of a step."""
    name = STEPS[step][0]
    return (ROOT / name if name == "Dockerfile" else FOLDER / name).read_text(encoding="utf-8")


def build(step: str, context: Path, *options: str, tag: str, caches: str = "") -> tuple[str, float]:
    """Build a step; return BuildKit's progress and the seconds it took.

    Args:
        step: Which.
        context: The folder that is sent to the engine.
        options: Further options of ``docker build``.
        tag: The name of the image.
        caches: A name for cache mounts of its own: empty in the first build.
    """
    text = dockerfile(step).replace("type=cache,", f"type=cache,id={caches},") if caches else dockerfile(step)
    with TemporaryDirectory() as elsewhere:
        file = Path(elsewhere) / "Dockerfile"
        file.write_text(text)
        ignore = ROOT / ".dockerignore"
        if STEPS[step][1]:
            shutil.copy(ignore, context)
        else:
            (context / ignore.name).unlink(missing_ok=True)
        started = time.perf_counter()
        said = docker("build", "--progress", "plain", *options, "--tag", tag, "--file", str(file), str(context))
        return said, time.perf_counter() - started


def instructions(progress: str) -> dict[str, bool]:
    """Return the instructions of a build, and whether each came from the cache."""
    found = dict(re.findall(r"^#(\d+) \[(?:\S+ +)?\d+/\d+\] ((?:RUN|COPY|WORKDIR) .*)$", progress, re.MULTILINE))
    cached = set(re.findall(r"^#(\d+) CACHED$", progress, re.MULTILINE))
    return {text: number in cached for number, text in found.items()}


@pytest.fixture
def tag(engine: None) -> Iterator[str]:
    """A name for an image of this test; it is removed."""
    name = f"nexus-test-{secrets.token_hex(4)}"
    yield name
    docker("rmi", "--force", name, check=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A context like the repository, without packages to install."""
    (tmp_path / "lab").mkdir()
    for name in (CHANGED, "requirements-lab.in", "requirements-lab.txt", ".git", ".env"):
        (tmp_path / name).write_text("")
    return tmp_path


def rebuilt(step: str, context: Path, tag: str) -> dict[str, bool]:
    """Build twice, with a line of code changed between; return the instructions of the second build."""
    build(step, context, tag=tag)
    (context / CHANGED).write_text(f"# {secrets.token_hex(4)}\n")
    return instructions(build(step, context, tag=tag)[0])


@pytest.mark.services
@pytest.mark.wrong("lab/docker/dockerfile/1-naive.Dockerfile:wrong_naive")
def test_the_naive_one_installs_everything_again(small: Path, tag: str) -> None:
    assert rebuilt("1 naive", small, tag) == {"COPY . .": False, "RUN pip install -r requirements-lab.in": False}
    found = docker("run", "--rm", tag, "ls", "-A", "/").split()
    assert {".git", ".env"} <= set(found)


@pytest.mark.services
def test_what_is_built_again(image: str, small: Path, tag: str, record: Recorder) -> None:
    rows = []
    for step in list(STEPS)[:5]:
        again = [text for text, cached in rebuilt(step, small, tag).items() if not cached]
        rows.append((step, again))
        if STEPS[step][1]:
            found = set(docker("run", "--rm", tag, "ls", "-A", "/app").split())
            assert found == {"lab", "requirements-lab.txt"}
    for name in ("lab", "requirements-lab.txt"):  # the last step installs the lab's packages, or has them
        remove = shutil.rmtree if name == "lab" else Path.unlink
        remove(small / name)
        copy = shutil.copytree if name == "lab" else shutil.copy
        copy(ROOT / name, small / name)
    build(list(STEPS)[5], small, tag=tag)
    with (small / CHANGED).open("a") as file:
        file.write(f"# {secrets.token_hex(4)}\n")
    last = instructions(build(list(STEPS)[5], small, tag=tag)[0])
    rows.append((list(STEPS)[5], [text for text, cached in last.items() if not cached]))
    assert [again for _, again in rows[1:5]] == [["COPY . ."]] * 4
    assert rows[5][1][0] == "COPY lab lab"
    assert len(rows[5][1]) == 2
    assert "collectstatic" in rows[5][1][1]
    shown = [f"| {step} | {', '.join(f'`{short(text)}`' for text in again)} |" for step, again in rows]
    record("dockerfile_cache.md", "\n".join(["| Step | Runs again after a changed line |", "| --- | --- |", *shown]))


@pytest.mark.services
@pytest.mark.parametrize(("step", "kept"), [("3 pinned with hashes", False), ("4 .dockerignore", True)])
def test_a_commit_without_a_change_of_the_code(small: Path, tag: str, step: str, kept: bool) -> None:
    build(step, small, tag=tag)
    (small / ".git").write_text(secrets.token_hex(4))
    assert instructions(build(step, small, tag=tag)[0])["COPY . ."] is kept


@pytest.mark.services
@pytest.mark.parametrize(
    ("instruction", "kept"), [("ARG commit", False), ("ENV commit={}", False), ("LABEL commit={}", True)]
)
def test_the_commit_at_the_top(tmp_path: Path, tag: str, instruction: str, kept: bool) -> None:
    for commit in (secrets.token_hex(4), secrets.token_hex(4)):
        (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\n{instruction.format(commit)}\nRUN echo {tag}\n")
        said = docker("build", "--progress", "plain", "--build-arg", f"commit={commit}", "--tag", tag, str(tmp_path))
    assert instructions(said) == {f"RUN echo {tag}": kept}


def short(instruction: str) -> str:
    """Return an instruction without the variables before its command."""
    return re.sub(r"RUN (?:\w+=\S+ +)*", "RUN ", instruction)


# What it costs


@cache
def experiment() -> dict[str, dict[str, float]]:
    """Build every step from a clone of the repository; return seconds and megabytes."""
    found: dict[str, dict[str, float]] = {"first": {}, "code": {}, "size": {}}
    with TemporaryDirectory() as folder:
        context = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, context], check=True)
        for name in ("requirements-lab.in", "requirements-lab.txt"):
            shutil.copy(ROOT / name, context)
        leave = shutil.ignore_patterns("__pycache__", "db.sqlite3", "staticfiles")
        shutil.copytree(ROOT / "lab", context / "lab", dirs_exist_ok=True, ignore=leave)
        for step in STEPS:
            tag, own = f"nexus-test-{secrets.token_hex(4)}", secrets.token_hex(8)
            try:
                found["first"][step] = build(step, context, "--no-cache", tag=tag, caches=own)[1]
                found["size"][step] = size(tag)
                times = 1 if step == "1 naive" else 3  # the first installs everything each time
                found["code"][step] = median(again(step, context, CHANGED, tag, own) for _ in range(times))
            finally:
                docker("rmi", "--force", tag, check=False)
    return found


def again(step: str, context: Path, changed: str, tag: str, caches: str) -> float:
    """Return the seconds of a build after a file got a line more."""
    with (context / changed).open("a") as file:
        file.write(f"# {secrets.token_hex(8)}\n")
    return build(step, context, tag=tag, caches=caches)[1]


def size(tag: str) -> float:
    """Return the megabytes of files in the layers above the base image."""
    base, mine = (int(docker("inspect", "--format", "{{len .RootFS.Layers}}", name)) for name in (BASE, tag))
    with TemporaryDirectory() as folder:
        archive = str(Path(folder) / "image.tar")
        docker("save", "--output", archive, tag)
        return sum(len(content) for layer, _, content in files(archive) if layer >= base - mine) / 1e6


@pytest.mark.services
def test_the_size_is_that_of_the_files_above_the_base(engine: None, tag: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nCOPY grades /\n")
    (tmp_path / "grades").write_bytes(b"x" * 3_000_000)
    docker("build", "--quiet", "--tag", tag, str(tmp_path))
    assert size(tag) == 3


@pytest.mark.measures("dockerfile")
@pytest.mark.timeout(900)
def test_what_each_step_costs(
    request: pytest.FixtureRequest, measured: Callable[[str, Callable[[], Measurement]], Measurement]
) -> None:
    if request.config.getoption("measure"):
        request.getfixturevalue("engine")

    def measure(what: str, title: str, description: str, y: str) -> Callable[[], Measurement]:
        def run() -> Measurement:
            return Measurement(
                title=title,
                description=description,
                x="step",
                y=y,
                versions={
                    "Docker Engine": docker("version", "--format", "{{.Server.Version}}").strip(),
                    "pip": docker("run", "--rm", BASE, "pip", "--version").split()[1],
                },
                bars={step: round(number, 1) for step, number in experiment()[what].items()},
            )

        return run

    code = measured(
        "dockerfile.json",
        measure(
            "code",
            "Rebuild after one changed line",
            "A bar for each step: the first takes as long as a whole installation, the others less than a third of it.",
            "seconds",
        ),
    ).bars
    megabytes = measured(
        "dockerfile_size.json",
        measure(
            "size",
            "What each step adds to the base image",
            "A bar for each step: the allow list makes the image smaller, the two stages do not.",
            "megabytes",
        ),
    ).bars
    first = measured(
        "dockerfile_first.json",
        measure(
            "first",
            "First build",
            "A bar for each step, one run each: none is three times as long as another.",
            "seconds",
        ),
    ).bars
    naive, ordered, pinned, ignore, mount, own = STEPS
    assert all(code[naive] > 3 * code[step] for step in STEPS if step != naive)
    assert megabytes[pinned] == pytest.approx(megabytes[ordered], rel=0.05)
    assert megabytes[ignore] < megabytes[pinned]
    assert megabytes[mount] <= megabytes[ignore]  # less where the index lets pip keep what it fetched
    assert megabytes[own] > megabytes[mount]  # the static files
    assert max(first.values()) < 3 * min(first.values())


@pytest.mark.services
def test_a_cache_mount_is_in_no_layer(engine: None, tag: str, tmp_path: Path) -> None:
    """Its folder is empty in the first build, and full in the second; in the image it never is."""
    mount = f"--mount=type=cache,id={tag},target=/root/.cache/pip"
    command = "echo x >> /root/.cache/pip/seen && wc -l < /root/.cache/pip/seen > /times"
    for times in (1, 2):
        (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN {mount} {command} # {times}\n")
        docker("build", "--quiet", "--tag", tag, str(tmp_path))
        assert docker("run", "--rm", tag, "cat", "/times").strip() == str(times)
        assert docker("run", "--rm", tag, "find", "/root", "-name", "seen") == ""


# Without an engine


@pytest.mark.slow
@pytest.mark.parametrize(("allowed", "kept"), [("max-age=365000000, immutable", True), (None, False)])
def test_pip_keeps_what_the_index_allows(tmp_path: Path, allowed: str | None, kept: bool) -> None:
    """Serve one package; PyPI sends the first header, a mirror may send none."""
    name = "academy-1.0-py3-none-any.whl"
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as wheel:
        about = "academy-1.0.dist-info/"
        wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: academy\nVersion: 1.0\n")
        wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(about + "RECORD", "")

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = self.path.endswith(".whl")
            body = written.getvalue() if file else f'<a href="/files/{name}">{name}</a>'.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/octet-stream" if file else "text/html")
            if file and allowed:
                self.send_header("Cache-Control", allowed)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the standard library)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    try:
        index = f"http://127.0.0.1:{server.server_port}/simple"
        caches, target = tmp_path / "cache", tmp_path / "target"
        quiet = ["--isolated", "--quiet", "--no-deps", "--disable-pip-version-check"]
        where = ["--index-url", index, "--trusted-host", "127.0.0.1"]  # pip keeps nothing that came without TLS
        folders = ["--cache-dir", str(caches), "--target", str(target)]
        subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *where, *folders, "academy"], check=True)
    finally:
        server.shutdown()
        server.server_close()
    bodies = [file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert any(written.getvalue() in body for body in bodies) is kept


def test_progress_is_read() -> None:
    said = "#5 [2/3] COPY . .\n#5 CACHED\n\n#6 [stage-1 3/3] RUN pip install x\n#6 DONE 0.1s\n#4 [1/3] FROM python\n"
    assert instructions(said) == {"COPY . .": True, "RUN pip install x": False}
    assert short("RUN DATABASE_URL=a SECRET_KEY=b     python x") == "RUN python x"


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        ("1-naive.Dockerfile", {"DL3045", "DL3042", "DL3025"}),
        ("2-order.Dockerfile", {"DL3042"}),
        ("3-pinned.Dockerfile", {"DL3042"}),
        ("4-ignore.Dockerfile", {"DL3042"}),
        ("5-cache.Dockerfile", set()),
    ],
)
def test_hadolint(name: str, findings: set[str]) -> None:
    assert set(re.findall(r"DL\d+", hadolint(FOLDER / name))) == findings


def test_what_hadolint_says_of_the_naive_one(tmp_path: Path, shell: Callable[..., None]) -> None:
    shutil.copy(FOLDER / "1-naive.Dockerfile", tmp_path)
    shell("dockerfile_naive.console")


def test_the_fourth_step_is_the_third() -> None:
    lines = [line for line in dockerfile("3 pinned with hashes").splitlines() if "--8<--" not in line]
    assert dockerfile("4 .dockerignore").splitlines() == lines
