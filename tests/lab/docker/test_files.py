"""The repository's own Dockerfile and Compose files, without an engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.pages import ROOT
from tests.linters import assert_schema, hadolint

BIN = Path(sys.executable).parent
COMPOSE = ("compose.yaml", "compose.override.yaml", "compose.production.yaml")
VARIABLES = {"POSTGRES_PASSWORD": "p", "SECRET_KEY": "s", "ALLOWED_HOSTS": "academy.example"}


def run(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository, with no variables but these."""
    environ = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
    return subprocess.run([*words], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_hadolint_finds_nothing() -> None:
    assert hadolint(ROOT / "Dockerfile") == ""


@pytest.mark.slow
def test_the_compose_files_satisfy_the_schema() -> None:
    assert_schema("vendor.compose-spec", *(ROOT / name for name in COMPOSE))


@pytest.fixture(scope="module")
def plugin() -> None:
    """The Compose plugin; it needs no engine to read files."""
    if shutil.which("docker") is None or run("docker", "compose", "version").returncode:
        pytest.skip("docker has no Compose plugin here")


@pytest.mark.slow
def test_compose_reads_its_files(plugin: None) -> None:
    mine = run("docker", "compose", "config")
    assert mine.returncode == 0, mine.stderr
    assert mine.stderr == ""
    web = yaml.safe_load(mine.stdout)["services"]["web"]
    assert web["environment"]["DEBUG"] == "true"
    assert web["ports"][0]["host_ip"] == "127.0.0.1"


@pytest.mark.slow
@pytest.mark.parametrize("missing", VARIABLES)
def test_production_names_what_is_missing(plugin: None, missing: str) -> None:
    given = {name: value for name, value in VARIABLES.items() if name != missing}
    files = ("--file", "compose.yaml", "--file", "compose.production.yaml")
    refused = run("docker", "compose", *files, "config", **given)
    assert refused.returncode != 0
    assert missing in refused.stderr
    assert "set it in .env" in refused.stderr
    assert run("docker", "compose", *files, "config", **VARIABLES).returncode == 0
