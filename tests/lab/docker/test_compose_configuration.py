"""Where a value comes from, and what becomes of two files: asked of Compose itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts.pages import ROOT
from tests.lab.docker.conftest import docker, until
from tests.linters import assert_schema, hadolint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.recording.files import Recorder

    Project = Callable[..., str]
    Shell = Callable[..., None]

FOLDER = ROOT / "lab" / "docker" / "compose_configuration"
BIN = Path(sys.executable).parent
IMAGE = "python:3.13-slim-trixie"
FILES = (
    "compose.yaml",
    "base.yaml",
    "wrong-production.yaml",
    "production.yaml",
    "wrong-anchor.yaml",
    "secrets.yaml",
    "watch/compose.yaml",
)


@pytest.fixture(scope="module")
def plugin() -> None:
    """The Compose plugin; it needs no engine to read files."""
    words = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("docker has no Compose plugin here")


def config(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``docker compose … config --format json`` in a folder, with no variables of its own but these."""
    environ = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME"} or key.startswith("DOCKER_")}
    command = ["docker", "compose", *words, "config", "--format", "json"]
    return subprocess.run(command, cwd=folder, env=environ | variables, capture_output=True, text=True, check=False)


def web(folder: Path, *words: str, **variables: str) -> dict[str, Any]:
    """Return the service ``web`` as Compose understands it."""
    read = config(folder, *words, **variables)
    assert read.returncode == 0, read.stderr
    found: dict[str, Any] = json.loads(read.stdout)["services"]["web"]
    return found


def write(folder: Path, service: Mapping[str, object], file: str = "compose.yaml") -> None:
    """Write a Compose file with one service, ``web``."""
    (folder / file).write_text(yaml.safe_dump({"services": {"web": {"image": IMAGE, **service}}}))


def table(*rows: tuple[str, ...]) -> str:
    """Return a table in Markdown; the first row is its head."""
    head, *rest = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rest))


# Variables


@pytest.mark.services
def test_dotenv_is_for_the_file(folder: Path, name: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("compose_configuration_dotenv.console", COMPOSE_PROJECT_NAME=name, COMPOSE_PROGRESS="quiet")
    said = record.path("compose_configuration_dotenv.console").read_text()
    assert re.findall(r"^\d+$", said, re.MULTILINE) == ["30", "40"]
    assert said.endswith("\nno DEBUG\n")


def test_who_wins_in_the_file(plugin: None, tmp_path: Path, record: Recorder) -> None:
    write(tmp_path, {"environment": {"LEVEL": "${LEVEL:-default}"}})
    (tmp_path / "first.env").write_text("LEVEL=first.env")
    (tmp_path / "second.env").write_text("LEVEL=second.env")

    def value(*words: str, **variables: str) -> str:
        return f"`{web(tmp_path, *words, **variables)['environment']['LEVEL']}`"

    files = ("--env-file", "first.env", "--env-file", "second.env")
    rows = [("nowhere", value())]
    (tmp_path / ".env").write_text("LEVEL=.env")
    rows += [
        ("`.env`", value()),
        ("`.env`, and `--env-file first.env`", value(*files[:2])),
        ("`--env-file first.env --env-file second.env`", value(*files)),
        ("all of them and the shell", value(*files, LEVEL="shell")),
    ]
    record("compose_configuration_interpolation.md", table(("`LEVEL` is set in", "`${LEVEL:-default}` is"), *rows))
    assert [value for _, value in rows] == ["`default`", "`.env`", "`first.env`", "`second.env`", "`shell`"]


@pytest.mark.services
def test_who_wins_in_the_container(name: str, project: Project, tmp_path: Path, record: Recorder) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nENV LEVEL=image\n")
    (tmp_path / "web.env").write_text("LEVEL=env_file")
    docker("build", "--quiet", "--tag", name, ".", cwd=tmp_path)

    def value(service: Mapping[str, object], *words: str, dotenv: str = "LEVEL=.env", **variables: str) -> str:
        write(tmp_path, {"image": name, **service})
        (tmp_path / ".env").write_text(dotenv)
        asked = ("run", "--rm", "--no-TTY", *words, "web", "sh", "-c", 'echo "got ${LEVEL-nothing}"')
        said = project(*asked, files=[str(tmp_path / "compose.yaml")], COMPOSE_PROGRESS="quiet", **variables)
        found = re.search(r"^got (.*)$", said, re.MULTILINE)
        assert found, said
        return f"`{found[1]}`"

    file = {"env_file": "web.env"}
    literal = {**file, "environment": {"LEVEL": "environment"}}
    passed = {**file, "environment": {"LEVEL": None}}
    try:
        rows = [
            ("`ENV LEVEL=image` in the image; `.env` and the shell say otherwise", value({}, LEVEL="shell")),
            ("and `env_file: web.env`", value(file, LEVEL="shell")),
            ("and `environment:` with `LEVEL: environment`", value(literal, LEVEL="shell")),
            ("or `environment:` with `LEVEL:`, no value", value(passed, LEVEL="shell")),
            ("the same, not in the shell", value(passed)),
            ("the same, not in `.env` either", value(passed, dotenv="")),
            ("`LEVEL: environment`, and `run --env LEVEL=run`", value(literal, "--env", "LEVEL=run", LEVEL="shell")),
        ]
    finally:
        docker("rmi", "--force", name, check=False)
    record("compose_configuration_container.md", table(("Given", "`LEVEL` in the container"), *rows))
    expected = ("image", "env_file", "environment", "shell", ".env", "nothing", "run")
    assert [value for _, value in rows] == [f"`{value}`" for value in expected]


def test_forms_of_a_variable(plugin: None, tmp_path: Path, record: Recorder) -> None:
    rows = []
    for form in ("${SEATS}", "${SEATS-25}", "${SEATS:-25}", "${SEATS:+some}", "${SEATS:?set it in .env}"):
        write(tmp_path, {"environment": {"GOT": form}})
        cells = []
        for variables in ({}, {"SEATS": ""}, {"SEATS": "30"}):
            read = config(tmp_path, **variables)
            if read.returncode:
                assert "required variable SEATS is missing a value: set it in .env" in read.stderr
                cells.append("error: set it in .env")
                continue
            got = json.loads(read.stdout)["services"]["web"]["environment"]["GOT"]
            warning = " and a warning" if "variable is not set" in read.stderr else ""
            cells.append((f"`{got}`" if got else "empty") + warning)
        rows.append((f"`{form}`", *cells))
    record("compose_configuration_forms.md", table(("Written", "not set", "set to nothing", "`30`"), *rows))


@pytest.mark.services
def test_quotes_in_a_file_of_variables(engine: None, tmp_path: Path, record: Recorder) -> None:
    write(tmp_path, {"env_file": "web.env"})
    rows = []
    for value in (
        "pa$word",
        "'pa$word'",
        '"pa$word"',
        "two words",
        '"two words" # why',
        "one #two",
        "one#two",
        r'"a\nb"',
    ):
        (tmp_path / "web.env").write_text(f"VALUE={value}\n")
        compose = web(tmp_path)["environment"]["VALUE"].replace("$$", "$")  # config escapes what it prints
        run = docker("run", "--rm", "--env-file", str(tmp_path / "web.env"), IMAGE, "printenv", "VALUE").rstrip("\n")
        rows.append(tuple(f"`{text}`".replace("\n", "⏎") for text in (f"VALUE={value}", compose, run)))
    found = {line: (compose, run) for line, compose, run in rows}
    assert found["`VALUE=pa$word`"] == ("`pa`", "`pa$word`")
    assert found["`VALUE='pa$word'`"] == ("`pa$word`", "`'pa$word'`")
    record("compose_configuration_quotes.md", table(("Line", "Compose", "`docker run --env-file`"), *rows))


def test_raw_takes_a_line_as_it_is(plugin: None, tmp_path: Path) -> None:
    (tmp_path / "web.env").write_text("VALUE='pa$word' # why\n")
    write(tmp_path, {"env_file": [{"path": "web.env", "format": "raw"}, {"path": "none.env", "required": False}]})
    assert web(tmp_path)["environment"]["VALUE"].replace("$$", "$") == "'pa$word' # why"


# Files


def test_how_two_files_become_one(plugin: None, tmp_path: Path, record: Recorder) -> None:
    cases: tuple[tuple[str, object, object], ...] = (
        ("command", ["migrate"], ["runserver"]),
        ("environment", {"DEBUG": "true", "PORT": "1"}, {"DEBUG": "false"}),
        ("labels", {"a": "1"}, {"b": "2"}),
        ("dns", ["10.0.0.1"], ["10.0.0.2"]),
        ("ports", ["8001:8000"], ["8002:8000"]),
        ("volumes", ["/a:/data", "/b:/logs"], ["/c:/data"]),
        ("healthcheck", {"test": ["CMD", "a"], "retries": 2}, {"retries": 5}),
    )
    rows = []

    def short(value: object) -> str:
        """Return a value as one would write it."""
        if isinstance(value, dict) and "published" in value:
            return f"{value['published']}:{value['target']}"
        if isinstance(value, dict) and "source" in value:
            return f"{value['source']}:{value['target']}"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key}: {short(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(short(item) for item in value) + "]"
        return str(value)

    for key, first, second in cases:
        write(tmp_path, {key: first}, "first.yaml")
        write(tmp_path, {key: second}, "second.yaml")
        merged = web(tmp_path, "--file", "first.yaml", "--file", "second.yaml")[key]
        rows.append((f"`{key}`", *(f"`{short(value)}`" for value in (first, second, merged))))
    record("compose_configuration_merge.md", table(("Key", "First file", "Second file", "Result"), *rows))
    results = {row[0]: row[3] for row in rows}
    assert results["`command`"] == "`[runserver]`"
    assert results["`ports`"] == "`[8001:8000, 8002:8000]`"
    assert results["`volumes`"] == "`[/c:/data, /b:/logs]`"


@pytest.mark.services
@pytest.mark.wrong("lab/docker/compose_configuration/wrong-production.yaml:wrong_production")
def test_a_second_file_does_not_take_a_port_away(folder: Path, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("compose_configuration_ports.console")
    wrong, right = record.path("compose_configuration_ports.console").read_text().split("$ ")[1:]
    assert "8001" in wrong
    assert "8001" not in right
    assert right.count("127.0.0.1") == wrong.count("127.0.0.1") == 1


def test_reset_takes_a_key_away(plugin: None, folder: Path) -> None:
    (folder / "reset.yaml").write_text("services:\n  web:\n    ports: !reset []\n")
    assert "ports" not in web(folder, "--file", "base.yaml", "--file", "reset.yaml")
    (folder / "empty.yaml").write_text("services:\n  web:\n    ports: []\n")
    (port,) = web(folder, "--file", "base.yaml", "--file", "empty.yaml")["ports"]
    assert port["published"] == "8001"


def test_the_override_file_is_read_only_without_file(plugin: None) -> None:
    assert web(ROOT)["environment"]["DEBUG"] == "true"
    assert "DEBUG" not in web(ROOT, "--file", "compose.yaml")["environment"]


@pytest.mark.services
def test_profiles(folder: Path, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("compose_configuration_profiles.console")
    said = record.path("compose_configuration_profiles.console").read_text()
    assert said.count("console") == 1


@pytest.mark.wrong("lab/docker/compose_configuration/wrong-anchor.yaml:wrong_anchor")
def test_an_anchor_is_merged_one_level_deep(plugin: None) -> None:
    read = config(FOLDER, "--file", "wrong-anchor.yaml")
    services = json.loads(read.stdout)["services"]
    assert services["web"]["environment"] == {"DEBUG": "true"}
    assert services["worker"]["environment"] == {"DATABASE_URL": "postgres://database/academy", "DEBUG": "true"}


def test_extends_and_include(plugin: None, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    write(tmp_path / "shared", {"environment": {"A": "1"}, "volumes": ["./files:/files"]})
    (tmp_path / "compose.yaml").write_text(
        "services:\n  more:\n    extends: {file: shared/compose.yaml, service: web}\n    environment: {B: '2'}\n"
    )
    more = json.loads(config(tmp_path).stdout)["services"]["more"]
    assert more["environment"] == {"A": "1", "B": "2"}  # deeper than an anchor
    (tmp_path / "compose.yaml").write_text("include: [shared/compose.yaml]\nservices: {}\n")
    assert web(tmp_path)["volumes"][0]["source"] == str(tmp_path / "shared" / "files")
    (tmp_path / "compose.yaml").write_text("include: [shared/compose.yaml]\nservices: {web: {image: x}}\n")
    twice = config(tmp_path)
    assert twice.returncode != 0
    assert "web" in twice.stderr


# Files that a container gets


@pytest.mark.services
def test_secrets_keep_their_owner(folder: Path, name: str, docker_shell: Shell, record: Recorder) -> None:
    docker_shell("compose_configuration_secrets.console", COMPOSE_PROJECT_NAME=name, COMPOSE_PROGRESS="quiet")
    said = record.path("compose_configuration_secrets.console").read_text()
    assert "/run/secrets/password: Permission denied" in said
    assert said.endswith("\nby-file\nseats = 25\n")


@pytest.mark.services
def test_a_service_with_a_profile_runs_when_it_is_named(folder: Path, project: Project) -> None:
    words = ("run", "--rm", "--no-TTY", "console", "echo", "it runs")
    assert "it runs\n" in project(*words, files=[str(folder / "base.yaml")])


@pytest.mark.services
def test_compose_ignores_the_mode_of_a_file(project: Project, tmp_path: Path) -> None:
    secret = {"source": "password", "uid": "10001", "mode": 0o444}
    text = {
        "services": {"web": {"image": IMAGE, "secrets": [secret]}},
        "secrets": {"password": {"file": "./password"}},
    }
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(text))
    (tmp_path / "password").write_text("by-file")
    (tmp_path / "password").chmod(0o600)
    words = ("run", "--rm", "--no-TTY", "web", "stat", "--format", "mode %a of %u", "/run/secrets/password")
    assert f"mode 600 of {os.getuid()}\n" in project(*words, files=[str(file)])


@pytest.mark.services
def test_a_secret_from_a_variable_is_readable(project: Project, tmp_path: Path) -> None:
    text = {
        "services": {"web": {"image": IMAGE, "user": "10001", "secrets": ["password"]}},
        "secrets": {"password": {"environment": "PASSWORD"}},
    }
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(text))
    words = ("run", "--rm", "--no-TTY", "web", "stat", "--format", "mode %a", "/run/secrets/password")
    given = {"PASSWORD": "by-variable"}
    assert "mode 444" in project(*words, files=[str(file)], **given)
    shown = config(tmp_path, **given).stdout
    assert "by-variable" not in shown


def test_config_prints_passwords(plugin: None) -> None:
    words = ("--file", "compose.yaml", "--file", "compose.production.yaml")
    given = {"POSTGRES_PASSWORD": "s3cr3t", "SECRET_KEY": "k", "ALLOWED_HOSTS": "academy.example"}
    assert "s3cr3t" in config(ROOT, *words, **given).stdout
    command = ["docker", "compose", *words, "config", "--no-interpolate"]
    hidden = subprocess.run(command, cwd=ROOT, env={**os.environ, **given}, capture_output=True, text=True, check=True)
    assert "s3cr3t" not in hidden.stdout


# Watch


@contextmanager
def watching(name: str, folder: Path) -> Iterator[None]:
    """Run ``docker compose watch`` meanwhile."""
    log = folder.parent / "watch.log"
    with log.open("w") as said:
        command = ["docker", "compose", "--project-name", name, "watch"]
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
    try:
        until(lambda: "Watch enabled" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


@pytest.mark.services
def test_watch(name: str, project: Project, tmp_path: Path, record: Recorder) -> None:
    folder = tmp_path / "watch"
    shutil.copytree(FOLDER / "watch", folder)
    (folder / "templates").mkdir()
    changed = {"sync": "templates/course.html", "sync+restart": "settings.toml", "rebuild": "requirements.txt"}
    for path in changed.values():
        (folder / path).write_text("old")
    rows = []

    def run(*words: str) -> str:
        return project(*words, files=[str(folder / "compose.yaml")], check=False).strip()

    def look() -> tuple[str, str]:
        identity = run("ps", "--quiet", "web")
        return identity, docker("inspect", "--format", "{{.State.StartedAt}}", identity, check=False)

    def arrived(path: str) -> bool:
        return run("exec", "--no-TTY", "web", "cat", f"/app/{path}") == "new"

    try:
        with watching(name, folder):
            for action, path in changed.items():
                before = look()
                (folder / path).write_text("new")
                until(lambda path=path: arrived(path))  # type: ignore[misc]
                if action != "sync":
                    until(lambda before=before: look()[1] != before[1])  # type: ignore[misc]
                after = look()
                container = "the same" if before[0] == after[0] else "a new one, of a new image"
                process = "goes on" if before == after else "starts again"
                rows.append((f"`{path}`", f"`{action}`", container, process))
        record("compose_configuration_watch.md", table(("Changed", "Action", "Container", "Process"), *rows))
    finally:
        project("down", "--rmi", "local", "--timeout", "1", files=[str(folder / "compose.yaml")], check=False)


# Without an engine


@pytest.mark.slow
def test_the_files_satisfy_the_schema(tmp_path: Path) -> None:
    """Without the tag that is Compose's own."""
    copies = []
    for name in FILES:
        copies.append(tmp_path / name.replace("/", "-"))
        copies[-1].write_text((FOLDER / name).read_text().replace(" !override", ""))
    assert_schema("vendor.compose-spec", *copies)


def test_hadolint_finds_nothing() -> None:
    assert hadolint(FOLDER / "watch" / "Dockerfile") == ""
