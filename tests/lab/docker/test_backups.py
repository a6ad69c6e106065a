"""A database that is destroyed and brought back."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT
from tests.lab.docker.conftest import docker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

FOLDER = ROOT / "lab" / "docker" / "backups"
SCRIPTS = FOLDER / "restore-check.sh", FOLDER / "wrong-copy.sh"
TABLES = ("learner", "course", "lesson", "enrollment", "certificate", "tag")
CONTENT = "SELECT md5(string_agg(row::text, ',' ORDER BY row::text)) FROM academy_{} AS row"
KEYS = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"


def test_shellcheck_finds_nothing() -> None:
    words = [Path(sys.executable).parent / "shellcheck", *SCRIPTS]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """What Compose reads: a project of this test, which goes when the test ends."""
    name = f"nexus-test-{secrets.token_hex(4)}"
    yield {"COMPOSE_PROJECT_NAME": name, "COMPOSE_PROGRESS": "quiet", "COMPOSE_FILE": "compose.yaml"}
    docker("compose", "--project-name", name, "down", "--volumes", "--timeout", "1", cwd=Path("/"), check=False)


@pytest.fixture
def play(
    tmp_path: Path, docker_shell: Callable[..., None], record: Recorder, variables: dict[str, str]
) -> Callable[[str], str]:
    """``play("dump.console")`` runs a recorded session in a folder with the Compose file, and returns it."""
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    for script in SCRIPTS:
        shutil.copy(script, tmp_path)

    def clean(printed: str) -> str:
        printed = re.sub(r"\n{2,}", "\n", printed)  # pg_restore leaves lines empty
        return printed.replace(variables["COMPOSE_PROJECT_NAME"], "nexus")

    def run(name: str) -> str:
        shutil.rmtree(tmp_path / ".tools", ignore_errors=True)
        docker_shell(name, clean=clean, **variables)
        return record.path(name).read_text(encoding="utf-8")

    return run


@pytest.fixture
def compose(tmp_path: Path, play: Callable[[str], str], variables: dict[str, str], image: str) -> Callable[..., str]:
    """``compose("stop", "database")`` runs Compose in that folder, on an academy with 200 learners."""

    def run(*words: str) -> str:
        return docker("compose", *words, check=True, cwd=tmp_path, **variables).strip()

    run("run", "--rm", "--env", "DEBUG=true", "migrate", "sh", "-c", f"{MANAGE} migrate && {MANAGE} seed_academy")
    return run


def ask(compose: Callable[..., str], sql: str) -> str:
    """Return what the database answers."""
    return compose("exec", "-T", "database", "psql", "-U", "academy", "-Atc", sql)


def content(compose: Callable[..., str]) -> list[str]:
    """Return a fingerprint of the rows of each table, and how many foreign keys hold."""
    found = [ask(compose, CONTENT.format(table)) for table in TABLES]
    assert all(found)
    return [*found, ask(compose, KEYS)]


@pytest.mark.services
def test_destroyed_and_brought_back(tmp_path: Path, play: Callable[[str], str], compose: Callable[..., str]) -> None:
    before = content(compose)
    assert re.search(r"(?m)^2\d$", play("backups_dump.console"))
    lost = play("backups_lost.console")
    assert "200 | Yaw" in lost
    assert 'relation "academy_learner" does not exist' in lost
    restored = play("backups_restore.console")
    assert "200 | Yaw" in restored
    assert 'violates foreign key constraint "academy_enrollment_learner_id' in restored
    assert content(compose) == before

    checked = play("backups_check.console")
    assert "\n200 learners\n$" in checked
    assert checked.count("\nexit status 1\n") == 2
    assert checked.endswith("0 learners\nexit status 1\n")

    assert "200 | Yaw" in play("backups_volume.console")
    assert content(compose) == before

    roles = play("backups_roles.console")
    assert 'ERROR:  role "report" does not exist' in roles
    assert "errors ignored on restore: 1\nexit status 1\n" in roles
    assert "200 | Yaw" in roles
    assert content(compose) == before
    # The check asks for the rows and leaves owners and rights out.
    again = subprocess.run(
        ["bash", "restore-check.sh", "academy.dump"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.stdout == "200 learners\n", again.stderr
    roles_first = play("backups_roles_first.console")
    assert roles_first.count("ERROR") == 1
    assert 'ERROR:  role "academy" already exists' in roles_first
    assert roles_first.endswith("\n t\n")
    assert content(compose) == before


MANAGE = "python lab/manage.py"
LATE = """
WITH learner AS (
    INSERT INTO academy_learner (name, email, joined_on) VALUES ('Esi', 'esi@late.example', now()) RETURNING id
)
INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on) SELECT id, 1, now() FROM learner
"""
ROWS = """
SELECT (SELECT count(*) FROM academy_learner), count(*), count(*) FILTER (WHERE NOT EXISTS (
    SELECT FROM academy_learner WHERE academy_learner.id = learner_id)) FROM academy_enrollment
"""
EXTRACT = 'mkdir --parents "$PGDATA" && tar --extract --directory "$PGDATA"'


@pytest.mark.services
@pytest.mark.wrong("lab/docker/backups/wrong-copy.sh:wrong_copy")
def test_a_copy_of_files_in_use_breaks_a_rule(
    tmp_path: Path, compose: Callable[..., str], variables: dict[str, str], record: Recorder
) -> None:
    def run(*words: str, archive: str = os.devnull) -> None:
        with (tmp_path / archive).open("rb") as stdin:
            done = subprocess.run(
                words, cwd=tmp_path, env={**os.environ, **variables}, stdin=stdin, capture_output=True, check=False
            )
        assert done.returncode == 0, done.stderr

    found = {"Before the copy": ask(compose, ROWS)}
    ask(compose, "CHECKPOINT")
    psql = ("docker", "compose", "exec", "-T", "database", "psql", "-U", "academy")
    run("sh", "wrong-copy.sh", *psql, "-c", LATE, "-c", "CHECKPOINT")
    found["The server, after it"] = ask(compose, ROWS)
    compose("down", "--volumes", "--timeout", "1")
    for archive in ("rest.tar", "first.tar"):
        into = ("docker", "compose", "run", "--rm", "-T", "--no-deps", "database")
        run(*into, "sh", "-c", EXTRACT, archive=archive)
    compose("up", "--wait", "database")
    found["A server with the copied files"] = ask(compose, ROWS)
    assert list(found.values()) == ["200|600|0", "201|601|0", "200|601|1"]
    assert "ERROR" not in compose("logs", "database")  # nobody says that something is wrong
    head = ["| Database | Learners | Enrollments | Enrollments of nobody |", "| --- | --- | --- | --- |"]
    lines = [f"| {name} | {' | '.join(numbers.split('|'))} |" for name, numbers in found.items()]
    record("backups_copy.md", "\n".join([*head, *lines]))
