"""What a container gets to see, read from the files; with a Docker Engine, the containers themselves."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts.pages import ROOT
from tests.lab.docker.conftest import docker, docker_shell, engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.lab.challenges.conftest import Version

__all__ = ["docker_shell", "engine"]

FOLDER = ROOT / "lab" / "challenges" / "docker_environment"
BIN = Path(sys.executable).parent
GIVEN = {"DJANGO_SECRET_KEY": "key-of-the-academy", "POSTGRES_PASSWORD": "word-of-the-academy"}
REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)(?:(:?[-?+])([^}]*))?\})")


# What Compose makes of its files


def dotenv(text: str) -> dict[str, str]:
    """Return the variables of a file of lines NAME=value."""
    lines = re.findall(r"^\s*(?:export )?(\w+)=(.*?)\s*$", text, re.MULTILINE)
    return {name: value[1:-1] if value[:1] in {"'", '"'} else value for name, value in lines}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill in the ``${…}`` of a Compose file, as Compose does; raise ValueError where a file demands a value."""

    def value(match: re.Match[str]) -> str:
        dollar, plain, name, form, argument = match.groups()
        if dollar:
            return "$"
        found = variables.get(plain or name)
        there = bool(found) if form and form[0] == ":" else found is not None
        if not form or form[-1] == "-":
            return (found if there else argument if form else found) or ""
        if form[-1] == "?" and not there:
            raise ValueError(f"{name}: {argument}")
        return argument if form[-1] == "+" and there else (found or "") if form[-1] == "?" else ""

    return REFERENCE.sub(value, text)


def compose(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the services of the Compose file of a folder, with these variables in ``.env``."""
    text = "\n".join(line for line in (folder / "compose.yaml").read_text().splitlines() if line.strip()[:1] != "#")
    services: dict[str, Any] = yaml.safe_load(interpolate(text, variables))["services"]
    return services


def listed(entries: Any) -> dict[str, str | None]:
    """Return what stands under ``environment:``, which is a map or a list."""
    if isinstance(entries, list):
        entries = dict((*entry.split("=", 1), None)[:2] for entry in entries)
    return {name: None if value is None else str(value) for name, value in (entries or {}).items()}


def environment(folder: Path, service: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what the process of a service gets: from the image, from ``env_file``, from ``environment``."""
    wanted = compose(folder, variables)[service]
    found: dict[str, str] = {}
    if "build" in wanted:
        for line in re.findall(r"^ENV (.*)$", (folder / "Dockerfile").read_text(), re.MULTILINE):
            found |= dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))
    files = wanted.get("env_file", [])
    for file in files if isinstance(files, list) else [files]:
        path = file["path"] if isinstance(file, dict) else file
        found |= variables if path in {".env", "./.env"} else dotenv((folder / path).read_text())
    for name, value in listed(wanted.get("environment")).items():
        if value is not None:
            found[name] = value
        elif name in variables:
            found[name] = variables[name]
        else:
            found.pop(name, None)
    return found


def settings(folder: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Run the settings of a folder with these variables and no others; return what they set."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        return runpy.run_path(str(folder / "settings.py"))
    finally:
        os.environ.clear()
        os.environ.update(before)


def tool(name: str, *words: str, cwd: Path) -> str:
    """Run a tool of the tests; return what it printed."""
    done = subprocess.run([BIN / name, *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout if done.returncode else ""


# What somebody finds who looks for it


def complaints(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a folder."""
    example = dotenv((folder / ".env.example").read_text())
    filled = {name: value or GIVEN.get(name, "given") for name, value in example.items()}
    if schema := tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml", cwd=folder):
        yield f"compose.yaml does not satisfy its schema: {schema}"
    try:
        compose(folder, {name: value for name, value in filled.items() if name != "POSTGRES_PASSWORD"})
        yield "without POSTGRES_PASSWORD Compose goes on, with an empty password"
    except ValueError:
        pass
    services = compose(folder, filled)
    web, database = services["web"], services["database"]
    got = environment(folder, "web", filled)
    try:
        settings(folder, got)
    except (Exception, SystemExit) as error:
        yield f"with a filled .env, web stops: {type(error).__name__}: {error}"
    try:
        settings(folder, {})
        yield "with no variable at all, web starts"
    except (Exception, SystemExit) as error:
        if missing := [name for name in GIVEN if name not in str(error)]:
            yield f"with no variable at all, web stops and does not name {', '.join(missing)}"
    host = settings(folder, GIVEN | got)["DATABASES"]["default"]["HOST"]
    if host not in services:
        yield f"web looks for the database at {host}, which is no service"
    if settings(folder, GIVEN | got | {"DJANGO_DEBUG": "false"})["DEBUG"]:
        yield "DJANGO_DEBUG=false turns DEBUG on"
    if not settings(folder, GIVEN | got | {"DJANGO_DEBUG": "true"})["DEBUG"]:
        yield "DJANGO_DEBUG=true does not turn DEBUG on"
    waits = web.get("depends_on", {})
    waits = waits if isinstance(waits, dict) else {}
    if "healthcheck" not in database or waits.get("database", {}).get("condition") != "service_healthy":
        yield "web does not wait until the database answers"
    if not keeps_the_data(database):
        yield "the data of postgres:18 is not in the volume"
    yield from about_the_image(folder)


def keeps_the_data(database: Mapping[str, Any]) -> bool:
    """Say whether a volume holds the folder in which postgres:18 keeps its data."""
    data = listed(database.get("environment")).get("PGDATA") or "/var/lib/postgresql/18/docker"
    volumes = database.get("volumes", [])
    targets = [volume["target"] if isinstance(volume, dict) else volume.split(":")[1] for volume in volumes]
    return any(PurePosixPath(data).is_relative_to(target) for target in targets)


def ignored(folder: Path, name: str) -> bool:
    """Say whether ``.dockerignore`` keeps a file of the folder out of the image; the last line that fits decides."""
    file = folder / ".dockerignore"
    found = False
    for line in file.read_text().splitlines() if file.exists() else []:
        if fnmatch(name, line.strip().removeprefix("!").removeprefix("**/").removeprefix("/")):
            found = not line.startswith("!")
    return found


def about_the_image(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the Dockerfile."""
    text = (folder / "Dockerfile").read_text()
    found = tool("hadolint", "--no-color", "Dockerfile", cwd=folder)
    for code in re.findall(r"\b([DS][LC]\d{4}) (?:error|warning):", found):  # what it calls info is advice
        yield f"hadolint finds {code}"
    everything = re.search(r"^(?:COPY|ADD)(?: --\S+)* \./?\s", text, re.MULTILINE)
    install = re.search(r"^RUN (?:.*\\\n)*.*\b(?:pip|uv)\b", text, re.MULTILINE)
    if everything and install and everything.start() < install.start():
        yield "a change of the code installs every package again"
    if everything and not ignored(folder, ".env"):
        yield "a local .env gets into the image"
    users = re.findall(r"^USER ([^\s:]+)", text, re.MULTILINE)
    if not users or users[-1] in {"0", "root"}:
        yield "the process runs as root"
    if "runserver" in text:
        yield "runserver is for developing"


@pytest.mark.slow
@pytest.mark.broken("docker_environment.txt")
@pytest.mark.wrong("lab/challenges/docker_environment/broken/settings.py:wrong_settings")
@pytest.mark.wrong("lab/challenges/docker_environment/broken/Dockerfile:wrong_dockerfile")
@pytest.mark.wrong("lab/challenges/docker_environment/broken/compose.yaml:wrong_compose")
def test_the_files_of_the_site(version: Version) -> None:
    found = list(complaints(version.folder))
    if found:
        raise AssertionError("\n".join([f"{len(found)} complaints", *found]))


# The parts


def test_the_settings(session: Callable[..., None]) -> None:
    def start(version: str, **variables: str) -> None:
        found = settings(FOLDER / version, variables)
        print(f"DEBUG {found['DEBUG']}, database at {found['DATABASES']['default']['HOST']}")

    session("docker_environment_settings.pycon", start=start)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copies of both versions, without the marks that the page quotes them by."""
    for version in ("broken", "fixed"):
        shutil.copytree(FOLDER / version, tmp_path / version)
        for name in ("Dockerfile", "compose.yaml"):
            path = tmp_path / version / name
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if "8<" not in line))
    return tmp_path


@pytest.mark.slow
def test_what_the_tools_see(folder: Path, shell: Callable[..., None]) -> None:
    shell("docker_environment_tools.console")


@pytest.mark.slow
def test_git_leaves_the_secrets_out(folder: Path, shell: Callable[..., None]) -> None:
    shell("docker_environment_git.console")


@pytest.mark.slow
@pytest.mark.parametrize("state", ["broken", "fixed"])
def test_compose_says_the_same(state: str, folder: Path) -> None:
    """Hold this file's reading of Compose files to Compose itself, where the plugin is."""
    words = ["docker", "compose", "--file", "compose.yaml", "config"]
    if shutil.which("docker") is None or subprocess.run([*words[:2], "version"], capture_output=True).returncode:
        pytest.skip("docker has no Compose plugin here")
    (folder / state / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in GIVEN.items()))
    run = subprocess.run(words, cwd=folder / state, capture_output=True, text=True, check=True)
    said = yaml.safe_load(run.stdout)["services"]
    for service in ("web", "database"):
        mine = environment(folder / state, service, GIVEN)
        mine.pop("PYTHONUNBUFFERED", None)  # the image's, which Compose does not know
        if state == "broken":
            mine.pop("DJANGO_SECRET_KEY", None)
        assert (said[service].get("environment") or {}) == mine
    (folder / state / ".env").unlink()
    alone = subprocess.run([*words, "--quiet"], cwd=folder / state, capture_output=True, text=True, check=False)
    assert (alone.returncode != 0) is (state == "fixed")
    assert "POSTGRES_PASSWORD" in alone.stderr


def test_what_stays_out_of_the_image(tmp_path: Path) -> None:
    """The test of the containers looks into the images."""
    assert [ignored(FOLDER / version, ".env") for version in ("broken", "fixed")] == [False, True]
    (tmp_path / ".dockerignore").write_text("**/.env*\n!.env.example\n")
    assert [ignored(tmp_path, name) for name in (".env", ".env.example", "wsgi.py")] == [True, False, False]


def test_where_the_data_lies() -> None:
    old, new = "data:/var/lib/postgresql/data", "data:/var/lib/postgresql"
    assert [keeps_the_data({"volumes": [volume]}) for volume in (old, new)] == [False, True]
    assert keeps_the_data({"volumes": [{"type": "volume", "source": "data", "target": "/var/lib/postgresql"}]})
    assert keeps_the_data({"volumes": [old], "environment": ["PGDATA=/var/lib/postgresql/data"]})
    assert not keeps_the_data({})


def test_the_forms_of_a_reference() -> None:
    text = "$$A $A ${A} ${A-d} ${A:-d} ${A+s} ${A:+s} ${A?e}"
    assert interpolate(text, {"A": "v"}) == "$A v v v v s s v"
    assert interpolate(text, {"A": ""}) == "$A    d s  "
    assert interpolate("$A ${A-d} ${A:-d} ${A+s} ${A:+s}", {}) == " d d  "
    for demand in ("${A?e}", "${A:?e}"):
        with pytest.raises(ValueError, match="A: e"):
            interpolate(demand, {})


# The containers


@pytest.mark.slow
@pytest.mark.services
def test_the_containers(folder: Path, engine: None, docker_shell: Callable[..., None]) -> None:
    name = f"nexus-test-{os.getpid()}-environment"
    for version in ("broken", "fixed"):
        (folder / version / ".env").write_text("".join(f"{key}='{value}'\n" for key, value in GIVEN.items()))
        text = (folder / version / "compose.yaml").read_text()
        (folder / version / "compose.yaml").write_text(re.sub(r"^ +ports: .*\n", "", text, flags=re.MULTILINE))
        docker("build", "--quiet", "--tag", f"{name}-{version}-web", ".", cwd=folder / version)
    quiet = {"COMPOSE_PROGRESS": "quiet"}
    try:
        docker_shell("docker_environment_broken.console", COMPOSE_PROJECT_NAME=f"{name}-broken", **quiet)
        docker_shell("docker_environment_fixed.console", COMPOSE_PROJECT_NAME=f"{name}-fixed", **quiet)
        for version, inside in (("broken", True), ("fixed", False)):
            files = docker("run", "--rm", f"{name}-{version}-web", "ls", "-A").split()
            assert (".env" in files) is inside
            assert "settings.py" in files
    finally:
        for version in ("broken", "fixed"):
            project = ("compose", "--project-name", f"{name}-{version}")
            docker(*project, "down", "--volumes", "--timeout", "1", cwd=Path("/"), check=False)
            docker("image", "rm", "--force", f"{name}-{version}-web", check=False)
