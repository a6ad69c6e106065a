"""A matrix becomes the jobs that the page lists; services answer; caches and artifacts keep what they say."""

from __future__ import annotations

import importlib
import re
import secrets
import shutil
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from lab.ci_cd.jobs import Cache, Job, expand, hash_files
from scripts import services
from scripts.pages import ROOT
from tests.lab.ci_cd.test_workflows import lab_copy
from tests.lab.ci_cd.workflows import BIN, EXAMPLES, OWN, content, run, steps, zizmor
from tests.lab.production import kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.recording.files import Recorder

MATRIX = content(EXAMPLES / "matrix.yml")["jobs"]["test"]["strategy"]["matrix"]
# The example of https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations
DOCUMENTED = {
    "fruit": ["apple", "pear"],
    "animal": ["cat", "dog"],
    "include": [
        {"color": "green"},
        {"color": "pink", "animal": "cat"},
        {"fruit": "apple", "shape": "circle"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ],
}


def listed(jobs: list[Job], *columns: str) -> str:
    rows = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    rows += [f"| {' | '.join(str(job.get(column, '·')) for column in columns)} |" for job in jobs]
    return "\n".join(rows)


def test_the_jobs_of_the_matrix(record: Recorder) -> None:
    jobs = expand(MATRIX)
    assert len(jobs) == 4
    assert {"python": "3.11", "database": "sqlite"} not in jobs
    record("jobs_matrix.md", listed(jobs, "python", "database", "django", "experimental"))


def test_an_included_job_is_extended_as_github_documents() -> None:
    assert expand(DOCUMENTED) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert expand({"include": [{"a": 1}, {"b": 2}]}) == [{"a": 1}, {"b": 2}]


def test_one_failed_job_of_a_matrix_does_not_end_the_others() -> None:
    job = content(EXAMPLES / "matrix.yml")["jobs"]["test"]
    assert job["strategy"]["fail-fast"] is False
    assert job["continue-on-error"] == "${{ matrix.experimental || false }}"


# Services -------------------------------------------------------------------------------------------


def test_every_service_has_a_check_of_its_health() -> None:
    found = content(EXAMPLES / "services.yml")["jobs"]["migrate"]["services"]
    assert set(found) == {"postgres", "mysql", "redis"}
    for service in found.values():
        assert "--health-cmd" in service["options"]
        (port,) = service["ports"]
        assert port.startswith("127.0.0.1:")


@pytest.fixture(scope="module")
def servers() -> dict[str, str]:
    try:
        return {name: services.url(name) for name in ("postgresql", "mariadb", "valkey")}
    except services.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def fresh_urls(servers: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """Address an empty database on PostgreSQL and MariaDB, and a part of Valkey, that go away again."""
    mysqldb: Any = importlib.import_module("MySQLdb")  # it ships no types
    name = f"steps_{secrets.token_hex(4)}"
    parts = re.fullmatch(r"mysql://(.*):(.*)@(.*):(\d+)/.*", servers["mariadb"])
    assert parts
    with (
        psycopg.connect(servers["postgresql"], autocommit=True) as postgresql,
        closing(
            mysqldb.connect(user=parts[1], password=parts[2], host=parts[3], port=int(parts[4]), autocommit=True)
        ) as mysql,
        mysql.cursor() as cursor,
    ):
        postgresql.execute(f"CREATE DATABASE {name}".encode())
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield {
                "postgres": re.sub(r"/\w*$", f"/{name}", servers["postgresql"]),
                "mysql": re.sub(r"/\w*$", f"/{name}", servers["mariadb"]),
                "redis": f"{servers['valkey']}?key_prefix={name}",
            }
        finally:
            postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            cursor.execute(f"DROP DATABASE {name}")


@pytest.mark.slow
@pytest.mark.services
def test_the_steps_of_the_services_reach_their_servers(fresh_urls: dict[str, str], tmp_path: Path) -> None:
    """The addresses of the workflow are replaced by those of the servers that the tests start."""
    lab_copy(tmp_path)
    install, postgres, mysql, redis = steps(EXAMPLES / "services.yml")
    assert install.script.startswith("pip install --require-hashes")  # needs the network: test_workflows.py
    for step, variable, name, says in (
        (postgres, "DATABASE_URL", "postgres", "Applying academy.0001_initial... OK"),
        (mysql, "DATABASE_URL", "mysql", "System check identified no issues"),
        (redis, "CACHE_URL", "redis", "seats in the cache: 3"),
    ):
        assert step.env[variable].startswith(name)
        done = run(step, tmp_path, env={variable: fresh_urls[name]})
        assert done.returncode == 0, done.stdout
        assert says in done.stdout


@pytest.mark.slow
@pytest.mark.services
def test_a_step_that_does_not_wait_for_its_service_fails(
    record: Recorder, servers: dict[str, str], tmp_path: Path
) -> None:
    lab_copy(tmp_path)
    step = list(steps(EXAMPLES / "services.yml"))[1]
    port = services.free_port()
    closed = f"postgres://postgres:only-for-tests@127.0.0.1:{port}/nexus"
    done = run(step, tmp_path, env={"DATABASE_URL": closed})
    assert done.returncode == 1
    error = next(line for line in done.stdout.splitlines() if line.startswith("django.db.utils.OperationalError"))
    asked = []
    for url in (closed, servers["postgresql"]):
        address = re.search(r"@([^:/]+):(\d+)/", url)
        assert address
        command = ["pg_isready", "--host", address[1], "--port", address[2]]
        health = subprocess.run(command, capture_output=True, text=True, check=False)
        asked.append((health.stdout.strip().replace(address[2], "5432"), health.returncode))
    assert [status for _, status in asked] == [2, 0]
    lines = ["$ python lab/manage.py migrate", error.replace(str(port), "5432").split(": ", 1)[1], ""]
    lines += [f"$ pg_isready    status {status}\n{text}" for text, status in asked]
    record("jobs_services.txt", "\n".join(lines))


# Caches and artifacts -------------------------------------------------------------------------------


def test_uv_installs_into_an_environment_alone(tmp_path: Path) -> None:
    """What ``setup-uv`` does with these inputs: it names the Python, and makes the environment if asked."""
    (setup,) = (
        step["with"]
        for step in content(EXAMPLES / "caches.yml")["jobs"]["uv"]["steps"]
        if "setup-uv" in step.get("uses", "")
    )
    assert setup["activate-environment"] is True
    done = subprocess.run(
        [str(BIN / "uv"), "pip", "install", "--offline", "--dry-run", "django"],
        cwd=tmp_path,
        env={**kept(), "UV_PYTHON": setup["python-version"], "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "No virtual environment found" in done.stderr


def test_what_a_cache_gives_back(session: Callable[..., None], tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"

    def key(text: str) -> str:
        """Return the key for a requirements file with this text."""
        requirements.write_text(text, encoding="utf-8")
        return f"pip-Linux-{hash_files([requirements])[:8]}"

    session("jobs_cache.pycon", Cache=Cache, key=key)


def test_the_newest_of_several_caches_is_offered() -> None:
    cache = Cache()
    for key in ("pip-1", "pip-2", "npm-1"):
        cache.save(key, f"saved under {key}")
    assert cache.restore("pip-3", "uv-", "pip-") == "saved under pip-2"
    assert cache.restore("pip-1") == "saved under pip-1"
    assert cache.restore("pip-") == "saved under pip-2"  # the key itself may be the beginning of others
    assert cache.restore("uv-1", "uv-") is None


def test_the_key_of_a_cache_follows_the_files(tmp_path: Path) -> None:
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file in files:
        file.write_text("django==5.2.19\n", encoding="utf-8")
    before = hash_files(files)
    assert hash_files(files) == before
    files[1].write_text("django==5.2.20\n", encoding="utf-8")
    assert hash_files(files) != before


@pytest.mark.wrong("lab/ci_cd/workflows/wrong_release.yml:wrong_cache")
def test_a_release_does_not_take_packages_from_a_cache(shell: Callable[..., None], tmp_path: Path) -> None:
    assert zizmor(EXAMPLES / "wrong_release.yml") == ["cache-poisoning"]
    assert zizmor(EXAMPLES / "release.yml") == []
    shutil.copy(EXAMPLES / "wrong_release.yml", tmp_path)
    shell("jobs_release.console")


@pytest.mark.slow
def test_the_second_job_takes_what_the_first_has_built(tmp_path: Path) -> None:
    lab_copy(tmp_path)
    build, check = steps(EXAMPLES / "artifacts.yml")
    output = tmp_path / "output"
    done = run(build, tmp_path, env={"GITHUB_OUTPUT": str(output)})
    assert done.returncode == 0, done.stdout
    digest = output.read_text(encoding="utf-8").strip().removeprefix("digest=")
    context: dict[str, Any] = {"needs": {"build": {"outputs": {"digest": digest}}}}
    done = run(check, tmp_path, context)
    assert (done.returncode, done.stdout) == (0, "academy.tar.gz: OK\n")
    with (tmp_path / "academy.tar.gz").open("ab") as archive:
        archive.write(b"one byte more")
    assert run(check, tmp_path, context).returncode == 1


# Reusable workflows and actions ---------------------------------------------------------------------


def test_a_caller_hands_over_what_the_called_workflow_asks_for() -> None:
    call = content(EXAMPLES / "caller.yml")["jobs"]["checks"]
    asked = content(EXAMPLES / "reusable.yml")["on"]["workflow_call"]
    assert call["uses"] == "$/.github/workflows/reusable.yml"
    assert {name for name, made in asked["inputs"].items() if made["required"]} <= set(call["with"])
    assert set(call["with"]) <= set(asked["inputs"])
    assert set(call["secrets"]) == set(asked["secrets"])


def test_an_action_is_handed_what_it_asks_for() -> None:
    step = content(EXAMPLES / "reusable.yml")["jobs"]["check"]["steps"][1]
    action = ROOT / step["uses"].removeprefix("$/") / "action.yml"
    inputs = content(action)["inputs"]
    assert {name for name, made in inputs.items() if made.get("required")} <= set(step["with"]) <= set(inputs)
    scripts = list(steps(action))
    assert scripts
    assert all("${{" not in script.script for script in scripts)  # inputs arrive as variables
    assert all(script.shell == "bash" for script in scripts)  # a composite action has no default


def test_our_own_jobs_are_copies_that_differ_in_little() -> None:
    jobs = content(OWN / "test.yml")["jobs"]
    assert set(jobs) == {"test", "next", "mysql"}
    assert not any("strategy" in job for job in jobs.values())
