"""The stamp that the pages of the chapter show."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

import pytest

from tests.lab.docker.conftest import docker

if TYPE_CHECKING:
    from tests.recording.files import Recorder


NUMBER = re.compile(r"\d+(\.\d+)+")
INSIDE = {  # what runs in a container, and the command that says its version
    "Python": ("python:3.13-slim-trixie", "python", "--version"),
    "PostgreSQL": ("postgres:18", "postgres", "--version"),
    "Valkey or Redis": ("valkey/valkey:9", "valkey-server", "--version"),
}


@pytest.mark.services
def test_the_stamp_names_the_engine(engine: None, record: Recorder) -> None:
    said = {
        "Docker Engine": docker("version", "--format", "{{.Server.Version}}"),
        "Compose": docker("compose", "version", "--short"),
        "Buildx": docker("buildx", "version"),
        **{
            name: docker("run", "--rm", "--entrypoint", command, image, option)
            for name, (image, command, option) in INSIDE.items()
        },
    }
    numbers = {name: NUMBER.search(text) for name, text in said.items()}
    assert all(numbers.values()), said
    if record.writes:  # another engine is welcome, and the pages do not change with it
        today = datetime.datetime.now(datetime.UTC).date()
        what = ", ".join(f"{name} {number[0]}" for name, number in numbers.items() if number)
        record("versions.md", f"Recorded on {today.day} {today:%B %Y} with {what}.")
