"""What an image for production gives away, what its user may write, and what a read-only container refuses."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab.docker.production_image import find
from scripts.pages import ROOT
from tests.lab.docker.conftest import docker
from tests.linters import hadolint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.recording.files import Recorder

    Shell = Callable[..., None]

FOLDER = ROOT / "lab" / "docker" / "production_image"
IMAGES = ("nexus-leak", "nexus-secret", "nexus-release", "nexus-release:2", "nexus-labeled")
GIVEN = {"POSTGRES_PASSWORD": "p", "SECRET_KEY": "s", "ALLOWED_HOSTS": "academy.example"}
TOKEN, KEY = b"t0ken-of-ama", b"s3cr3t-of-the-academy"


def clean(printed: str) -> str:
    """Return a session without ids and warnings."""
    printed = re.sub(r"^WARNING: .*\n", "", printed, flags=re.MULTILINE)
    return re.sub(r"\b(sha256:)?[0-9a-f]{64}\b", "4f5a…", printed)


@pytest.fixture
def tidy(engine: None) -> Iterator[None]:
    """No image and no container of this page, before and after."""
    docker("rm", "--force", "nexus-env", check=False)
    docker("rmi", "--force", *IMAGES, check=False)
    yield
    docker("rm", "--force", "nexus-env", check=False)
    docker("rmi", "--force", *IMAGES, check=False)


@pytest.mark.services
def test_the_user_writes_nothing_that_runs(image: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("production_image_user.console", clean=clean)
    said = record.path("production_image_user.console").read_text()
    assert said.count("Permission denied") == 1
    assert said.endswith("\nwritten\n")
    assert docker("inspect", "--format", "{{.Config.User}}", image).strip() == "10001"


@pytest.mark.services
@pytest.mark.wrong("lab/docker/production_image/wrong-secret.Dockerfile:wrong_secret")
def test_where_a_secret_stays(
    tidy: None,
    docker_shell: Shell,
    session: Callable[..., None],
    record: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for file in FOLDER.glob("*secret.Dockerfile"):
        shutil.copy(file, tmp_path)
    docker_shell("production_image_leak.console", clean=clean)
    shutil.rmtree(tmp_path / ".tools")
    docker_shell("production_image_secret.console", clean=clean)
    monkeypatch.chdir(tmp_path)
    session("production_image_find.pycon")
    said = record.path("production_image_find.pycon").read_text()
    assert re.findall(r"^\[.*\]$", said, re.MULTILINE) == [
        "['description']",
        "['description', 'layer -2: root/.netrc']",
        "[]",
    ]


@pytest.mark.services
def test_buildkit_warns_of_names_and_not_of_the_file(tidy: None) -> None:
    words = ("--build-arg", f"INDEX_TOKEN={TOKEN.decode()}", "--file", "wrong-secret.Dockerfile")
    said = docker("build", "--progress", "plain", *words, "--tag", "nexus-leak", ".", cwd=FOLDER)
    warned = re.findall(r"SecretsUsedInArgOrEnv: .*\((\w+ \"\w+\")\) \(line \d\)", said)
    assert set(warned) == {'ARG "INDEX_TOKEN"', 'ENV "SIGNING_KEY"'}
    assert "2 warnings found" in said


@pytest.mark.services
def test_docker_inspect_shows_variables_and_no_files(
    tidy: None, image: str, docker_shell: Shell, tmp_path: Path, record: Recorder
) -> None:
    (tmp_path / "password").write_text("by-file\n")
    docker_shell("production_image_env.console", clean=clean)
    said = record.path("production_image_env.console").read_text()
    assert said.split("[a-z]*'\n")[1] == "by-variable\n"


@pytest.mark.services
def test_what_goes_into_the_context(engine: None, docker_shell: Shell, tmp_path: Path, record: Recorder) -> None:
    folder = tmp_path / "academy"
    for name in ("lab/urls.py", "lab/db.sqlite3", ".git/config", ".env", "requirements-lab.txt", "grades.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    shutil.copy(FOLDER / "all.Dockerfile", folder)
    shutil.copy(ROOT / ".dockerignore", tmp_path)

    docker_shell("production_image_ignore.console", clean=clean)
    said = record.path("production_image_ignore.console").read_text()
    without, with_ = said.split("$ cd ../")[1:]
    assert {"./.env", "./.git/config", "./lab/db.sqlite3"} <= set(without.splitlines())
    assert with_.splitlines()[1:] == ["./lab/urls.py", "./requirements-lab.txt"]


@pytest.mark.services
def test_latest_is_a_name(tidy: None, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("production_image_latest.console", clean=clean)
    assert record.path("production_image_latest.console").read_text().endswith("\n1\n")


@pytest.mark.services
def test_labels(tidy: None, image: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("production_image_label.console", clean=clean)
    assert record.path("production_image_label.console").read_text().endswith("\n0f1e2d3\n")


@pytest.mark.services
def test_production_refuses(image: str, project: Callable[..., str], record: Recorder) -> None:
    tries = {
        "write beside the code": "touch /app/x",
        "write into `/var/tmp`": "touch /var/tmp/x",
        "write into `/tmp`": "touch /tmp/x",
        "write into its home": "touch /home/lab/x",
        "write into `/dev/shm`": "touch /dev/shm/x",
    }
    script = "; ".join(f"({command}) 2>&1 && echo allowed" for command in tries.values())
    script += "; grep -E 'CapBnd|NoNewPrivs' /proc/self/status"

    def run(*options: str, command: str) -> str:
        return project(
            *("run", "--rm", "--no-deps", "--no-TTY", *options, "web", "sh", "-c", command),
            files=["compose.yaml", "compose.production.yaml"],
            check=False,
            **GIVEN,
        )

    said = run(command=script)
    code = run("--user", "root", command="echo x >> /app/lab/urls.py")
    tries = {"change the code, even as root": "", **tries}
    said = f"{code}\n{said}"
    results = [line for line in said.splitlines() if re.search(r"allowed|Read-only|denied", line)]
    assert len(results) == len(tries), said
    rows = ["| It tries to | Answer |", "| --- | --- |"]
    for name, line in zip(tries, results, strict=True):
        rows.append(f"| {name} | {line.rsplit(': ')[-1]} |")
    assert [row.endswith("| allowed |") for row in rows[2:]] == [False, False, False, True, True, True]
    assert re.search(r"CapBnd:\s+0+$", said, re.MULTILINE)
    assert re.search(r"NoNewPrivs:\s+1$", said, re.MULTILINE)
    record("production_image_refused.md", "\n".join(rows))


# Without an engine


def test_find_reads_descriptions_and_layers(tmp_path: Path) -> None:
    def tar(members: dict[str, bytes]) -> bytes:
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w") as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return written.getvalue()

    about = json.dumps([{"Layers": ["layer"]}]).encode()
    config = json.dumps({"Env": [f"SIGNING_KEY={KEY.decode()}"]}).encode()
    layer = tar({"root/.netrc": TOKEN})
    saved = tmp_path / "image.tar"
    saved.write_bytes(tar({"manifest.json": about, "config": config, "layer": layer}))
    assert list(find(str(saved), KEY)) == ["description"]
    assert list(find(str(saved), TOKEN)) == ["layer -1: root/.netrc"]


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        ("wrong-secret.Dockerfile", {"DL3064", "DL3059"}),
        ("secret.Dockerfile", set()),
        ("all.Dockerfile", set()),
    ],
)
def test_hadolint(name: str, findings: set[str]) -> None:
    assert set(re.findall(r"DL\d+", hadolint(FOLDER / name))) == findings
