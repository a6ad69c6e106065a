"""Images keep what was ever written into a layer; containers lose what they wrote."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab.docker.containers import files
from scripts.pages import ROOT
from tests.lab.docker.conftest import docker
from tests.linters import hadolint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.recording.files import Recorder

    Shell = Callable[..., None]

FOLDER = ROOT / "lab" / "docker" / "containers"
GRADES = "Ama,18\nKofi,15\nEsi,17\n"
TIMES = 1_000_000  # what makes 22 megabytes of them


def clean(printed: str) -> str:
    """Return a session without ids, and without sizes that depend on how an engine stores images."""
    ids = re.sub(r"\b(sha256:)?[0-9a-f]{64}\b", "4f5a…", printed)
    less = re.sub(r"^[\d.]+k?B ", "0MB ", ids, flags=re.MULTILINE)
    return re.sub(r"^(\d+)\.\d+MB ", r"\1MB ", less, flags=re.MULTILINE)  # folders count in some stores


def remove(*names: str, images: tuple[str, ...] = ()) -> None:
    """Remove containers and images, if there are any."""
    docker("rm", "--force", "--volumes", *names, check=False)
    if images:
        docker("rmi", "--force", *images, check=False)


@pytest.fixture
def tidy(engine: None) -> Iterator[None]:
    """No container and no image of these pages, before and after."""
    everything = ("nexus-ama", "nexus-restart"), ("nexus-course:1", "nexus-delete", "nexus-bind")
    remove(*everything[0], images=everything[1])
    yield
    remove(*everything[0], images=everything[1])


@pytest.mark.services
def test_a_container_keeps_its_files_until_it_is_removed(tidy: None, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("containers_lifecycle.console", clean=clean)
    said = record.path("containers_lifecycle.console").read_text()
    assert "A /tmp/learners" in said
    assert said.count("\nAma\n") == 1
    assert said.endswith("cat: /tmp/learners: No such file or directory\n")


@pytest.mark.services
def test_a_tag_moves(tidy: None, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("containers_tag.console", clean=clean)
    said = record.path("containers_tag.console").read_text()
    assert said.index("\none\n") < said.index("\ntwo\n")


@pytest.mark.services
def test_a_container_that_dies_at_once_is_restarted_too(tidy: None, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("containers_restart.console", clean=clean)
    said = record.path("containers_restart.console").read_text()
    assert said.count("\ntry") == 3  # the first run and two restarts, though none lasted ten seconds


@pytest.mark.services
@pytest.mark.wrong("lab/docker/containers/wrong-delete.Dockerfile:wrong_delete")
def test_a_deleted_file_is_still_in_its_layer(
    tidy: None,
    docker_shell: Shell,
    record: Recorder,
    session: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "grades.csv").write_text(GRADES * TIMES)
    docker_shell("containers_delete.console", clean=clean)
    monkeypatch.chdir(tmp_path)
    session("containers_delete.pycon")
    said = record.path("containers_delete.console").read_text()
    assert "ls /tmp\n$ docker history" in said  # nothing is in the folder
    assert (
        f"\n-3 tmp/grades.csv {len(GRADES) * TIMES} b'{GRADES[:6]}"
        in record.path("containers_delete.pycon").read_text()
    )
    assert said.count("0MB RUN") == 2


@pytest.mark.services
def test_a_file_that_is_mounted_for_one_instruction_is_in_no_layer(tidy: None, tmp_path: Path) -> None:
    shutil.copy(FOLDER / "bind.Dockerfile", tmp_path)
    (tmp_path / "grades.csv").write_text(GRADES)
    docker("build", "--quiet", "--tag", "nexus-bind", "--file", "bind.Dockerfile", ".", cwd=tmp_path)
    docker("save", "--output", str(tmp_path / "image.tar"), "nexus-bind")
    found = {name: content for _, name, content in files(str(tmp_path / "image.tar"))}
    assert not found.get("tmp/grades.csv")  # BuildKit leaves no more than the place of the mount
    assert found["enrollments"] == b"3\n"
    assert not [name for name, content in found.items() if GRADES.encode() in content]


# Without an engine


@pytest.mark.parametrize("compressed", ["w", "w:gz"])  # an engine keeps layers either way
def test_files_reads_every_layer(tmp_path: Path, compressed: str) -> None:
    """Write an archive as ``docker save`` does, and read it."""

    def tar(members: Mapping[str, bytes], mode: str) -> bytes:
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode=mode) as archive:  # type: ignore[call-overload]
            folder = tarfile.TarInfo("tmp")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return written.getvalue()

    lower = tar({"tmp/grades.csv": b"Ama,18"}, compressed)
    upper = tar({"tmp/.wh.grades.csv": b""}, compressed)
    about = json.dumps([{"Layers": ["blobs/lower", "blobs/upper"]}]).encode()
    saved = tmp_path / "image.tar"
    saved.write_bytes(tar({"manifest.json": about, "blobs/lower": lower, "blobs/upper": upper}, "w"))
    assert list(files(str(saved))) == [(-2, "tmp/grades.csv", b"Ama,18"), (-1, "tmp/.wh.grades.csv", b"")]


@pytest.mark.parametrize(("name", "findings"), [("wrong-delete.Dockerfile", ["DL3059"]), ("bind.Dockerfile", [])])
def test_the_linter_does_not_see_the_file_that_stays(name: str, findings: list[str]) -> None:
    assert re.findall(r"DL\d+", hadolint(FOLDER / name)) == findings
