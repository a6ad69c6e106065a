"""Releases that fail are taken back while visitors come; what a new release leaves behind, and what stays changed."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.signing import BadSignature, Signer
from django.db import connection, migrations, transaction
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.state import ProjectState
from django.test import RequestFactory
from whitenoise import WhiteNoise

from lab.academy.models import Course, Enrollment
from lab.academy.tasks import issue_certificates
from lab.ci_cd.rollback_samples import steps_of_ten, wrong_remove
from scripts.pages import ROOT
from tests.lab.ci_cd.visitors import visit, visitors
from tests.lab.ci_cd.workflows import BIN
from tests.lab.docker.conftest import NO_FORWARDING, container, docker, engine, image, until
from tests.lab.production import PRODUCTION
from tests.linters import hadolint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from django.db.migrations.operations.base import Operation

    from tests.lab.ci_cd.visitors import Seen
    from tests.recording.files import Recorder

__all__ = ["engine", "image"]  # fixtures

FOLDER = ROOT / "lab/ci_cd/rollback"
SCRIPT = FOLDER / "deploy.sh"
RELEASES = FOLDER / "releases.Dockerfile"
AS_THE_PROXY_DOES = {"Host": "academy.example", "X-Forwarded-Proto": "https"}
WITHOUT_DEFAULT = 'language = models.CharField(max_length=2, default="en")'


# On the engine --------------------------------------------------------------------------------------


class Site:
    """The lab in containers: a database, a proxy, and the release that serves."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.environment = folder / "env"
        variables = {
            **PRODUCTION,
            "BEHIND_PROXY": "true",
            "DATABASE_URL": f"postgres://academy:academy@{name}-database/academy",
        }
        self.environment.write_text("".join(f"{key}={value}\n" for key, value in variables.items()))
        self.options = ("--network", name, "--env-file", str(self.environment))

    @property
    def url(self) -> str:
        """Return the address of the front page, behind the proxy."""
        return f"http://{docker('port', f'{self.name}-proxy', '8000').split()[0]}/"

    @property
    def serving(self) -> str:
        """Return what the proxy sends requests to."""
        return docker("exec", f"{self.name}-proxy", "cat", "/tmp/servers").strip().partition(":")[0]  # noqa: S108

    def deploy(self, image: str, shown: str, patience: int = 120) -> tuple[int, str, Seen]:
        """Run the script while visitors come; return its exit status, the session, and what they saw."""
        variables = {
            "PATIENCE": str(patience),
            "WATCH": "2",
            "SITE": self.name,
            "ENV_FILE": str(self.environment),
            "PAGE": self.url,
        }
        with visitors(self.url, AS_THE_PROXY_DOES, every=0.05) as seen:
            done = subprocess.run(
                [SCRIPT, image],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            time.sleep(0.3)
        said = "".join(line for line in done.stdout.splitlines(keepends=True) if NO_FORWARDING not in line)
        said = said.replace(image, shown).replace(self.name, "academy")
        said = re.sub(r"exited after \d+ s", "exited after a few seconds", said)
        said = said.replace(f"after {patience} s", "after 60 s")  # the reader's patience
        return done.returncode, f"$ ./deploy.sh {shown}; echo $?\n{said}{done.returncode}\n", seen

    def insert(self) -> str:
        """Let the release that serves insert a course; return the last line of what it says."""
        code = f"""from lab.academy.models import Course
Course.objects.create(title="Networks", slug="{secrets.token_hex(4)}", starts_on="2027-01-11", ends_on="2027-03-31")
print("inserted")"""
        said = docker("exec", self.serving, "python", "lab/manage.py", "shell", "-c", code, check=False)
        return next(line for line in said.splitlines() if "inserted" in line or "IntegrityError:" in line)

    def forget_language(self) -> None:
        """Take the migration of the new releases back by hand."""
        for statement in (
            "ALTER TABLE academy_course DROP COLUMN IF EXISTS language",
            "DELETE FROM django_migrations WHERE name = '0005_course_language'",
        ):
            docker("exec", f"{self.name}-database", "psql", "-qU", "academy", "-c", statement, "academy")


@pytest.fixture(scope="module")
def site(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The lab on a network of its own, with its first release in service."""
    name = f"nexus-test-{secrets.token_hex(4)}"
    made = Site(name, tmp_path_factory.mktemp("site"))
    docker("network", "create", name)
    database = ("--env", "POSTGRES_USER=academy", "--env", "POSTGRES_PASSWORD=academy", "--network", name)
    proxy = ("--init", "--no-healthcheck", "--network", name, "--publish", "127.0.0.1::8000")
    try:
        with (
            container("--name", f"{name}-database", *database, image="postgres:18") as postgres,
            container(
                "--name",
                f"{name}-proxy",
                *proxy,
                "--",
                *f"python -m lab.ci_cd.proxy {name}-blue:8000".split(),
                image=image,
            ),
        ):
            until(lambda: "accepting" in docker("exec", postgres, "pg_isready", "-h", "127.0.0.1", check=False), 60)
            docker("run", "--rm", *made.options, image, "python", "lab/manage.py", "migrate", "-v", "0")
            docker("run", "--detach", "--name", f"{name}-blue", *made.options, image)
            until(lambda: visit(made.url, AS_THE_PROXY_DOES)[0] == "200", 60)
            yield made
    finally:
        for color in ("blue", "green"):
            docker("rm", "--force", "--volumes", f"{name}-{color}", check=False)
        docker("network", "rm", name, check=False)


@pytest.fixture(scope="module")
def releases(image: str) -> Iterator[dict[str, str]]:
    """Images of releases, by the names of their stages; ``required`` is ``language`` without the database's default."""
    suffix = secrets.token_hex(4)
    made = {}
    for name in ("setting", "start", "ready", "forgotten", "language", "required"):
        made[name] = f"nexus-test-{name}-{suffix}"
        changed = ("--build-arg", f"COLUMN={WITHOUT_DEFAULT}") if name == "required" else ()
        target = "language" if name == "required" else name
        docker(
            "build", "--quiet", "--file", str(RELEASES), "--target", target, *changed, "--tag", made[name], str(FOLDER)
        )
    yield made
    docker("rmi", "--force", *made.values(), check=False)


BROKEN = {
    "setting": "a setting is malformed",
    "start": "crashes when it starts",
    "ready": "never becomes ready",
    "forgotten": "its migration was forgotten",
}


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.wrong("lab/ci_cd/rollback/releases.Dockerfile:wrong_releases")
def test_broken_releases_are_taken_back(site: Site, releases: dict[str, str], record: Recorder) -> None:
    before = site.serving
    sessions = []
    rows = ["| Release | The script ends with | Visitors without a page |", "| --- | --- | --- |"]
    for name, what in BROKEN.items():
        status, session, seen = site.deploy(releases[name], f"academy:{name}", patience=4 if name == "ready" else 120)
        assert status != 0, session
        assert site.serving == before, session
        assert seen.sent > 10
        assert (seen.failed > 0) == (name == "forgotten"), (name, seen.statuses)
        assert set(seen.statuses) <= {"200", "500"}
        rows.append(f"| `{name}`: {what} | {status} | {'some, until the way back' if seen.failed else 'none'} |")
        sessions.append(session)
        assert visit(site.url, AS_THE_PROXY_DOES) == ("200", f"{before}:8000")
    record("rollback_broken.console", "".join(sessions))
    record("rollback_visitors.md", "\n".join(rows))


@pytest.mark.services
@pytest.mark.slow
def test_back_to_the_previous_image(site: Site, releases: dict[str, str], image: str, record: Recorder) -> None:
    before = site.serving
    status, there, seen = site.deploy(releases["language"], "academy:language")
    assert status == seen.failed == 0, (there, seen.statuses)
    assert site.serving != before
    assert site.insert() == "inserted"
    docker("restart", f"{site.name}-proxy")  # as after a machine that went down: the file of the proxy is still there
    until(lambda: visit(site.url, AS_THE_PROXY_DOES)[0] == "200", 60)
    assert site.serving != before
    status, again, seen = site.deploy(image, "academy:previous")
    assert status == seen.failed == 0, (again, seen.statuses)
    assert site.serving == before  # the color; the container is a new one
    assert site.insert() == "inserted"  # old code, new table
    record("rollback_by_hand.console", there + again)
    site.forget_language()


@pytest.mark.services
@pytest.mark.slow
def test_the_previous_image_does_not_fit_the_new_table(site: Site, releases: dict[str, str], image: str) -> None:
    status, session, _ = site.deploy(releases["required"], "academy:required")
    assert status == 0, session
    assert site.insert() == "inserted"
    status, session, seen = site.deploy(image, "academy:previous")
    assert status == seen.failed == 0, session  # pages are read: nothing looks wrong
    assert 'null value in column "language"' in site.insert()
    site.forget_language()


# Without an engine ----------------------------------------------------------------------------------

DOCKER = """#!/bin/bash
echo "docker $*" >>log
case "$*" in
  *"cat /tmp/servers"*) cat servers ;;
  *"mv /tmp/servers"* | *"sh -c"*) echo "${@: -1}:8000" >servers ;;
  *migrate*) exit "${MIGRATE:-0}" ;;
  inspect*) echo "$STATE" ;;
  stop*blue) exit "${STOP:-0}" ;;
esac
"""
SLEEP = '#!/bin/bash\nif [[ ${SIGNAL:-} ]]; then kill -"$SIGNAL" "$PPID"; fi\n'
CURL = '#!/bin/bash\necho "curl ${*: -1}" >>log\nexit "${CURL:-0}"\n'


def rehearse(folder: Path, **variables: str) -> tuple[int, str, str, list[str]]:
    """Run the script, as the workflow does, with programs in the place of docker and curl that note what they are told.

    Returns:
        Its exit status, what it said, what the proxy points to, and what the programs were told.
    """
    tools = folder / "tools"
    tools.mkdir()
    for name, text in {"docker": DOCKER, "curl": CURL, "sleep": SLEEP}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (folder / "servers").write_text("academy-blue:8000\n")
    with SCRIPT.open() as script:
        done = subprocess.run(
            ["bash", "-s", "--", "academy:2"],
            stdin=script,
            cwd=folder,
            env={"PATH": f"{tools}:/usr/bin:/bin", "STATE": "healthy", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            # Whoever runs the tests with nohup ignores this signal, and every program below would, too.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
    told = (folder / "log").read_text().splitlines()
    return done.returncode, done.stdout, (folder / "servers").read_text().strip(), told


def test_a_release_that_works_takes_over(tmp_path: Path) -> None:
    status, said, serving, told = rehearse(tmp_path)
    assert (status, serving) == (0, "academy-green:8000")
    assert said.endswith("deploy: done, academy-green serves\n")
    words = [line.split()[1] for line in told if line.startswith("docker")]
    assert words == ["exec", "rm", "run", "run", "inspect", "exec", "update", "stop"]
    assert told[-1] == "docker stop --timeout 35 academy-blue"
    assert sum(line == "curl http://127.0.0.1:8000/" for line in told) == 10


@pytest.mark.parametrize(
    ("variables", "expected", "started"),
    [
        ({"MIGRATE": "3"}, 3, False),
        ({"STATE": "exited"}, 1, True),
        ({"STATE": "starting", "PATIENCE": "2"}, 1, True),
        ({"CURL": "22"}, 22, True),
        ({"SIGNAL": "TERM"}, -signal.SIGTERM, True),
        ({"SIGNAL": "HUP"}, -signal.SIGHUP, True),
    ],
    ids=["migrate", "start", "ready", "page", "killed", "hung up"],
)
def test_a_release_that_fails_is_taken_back(
    tmp_path: Path, variables: dict[str, str], expected: int, started: bool
) -> None:
    status, said, serving, told = rehearse(tmp_path, **variables)
    assert (status, serving) == (expected, "academy-blue:8000")
    assert said.endswith("deploy: FAILED, academy-blue serves\n")
    assert any("run --detach" in line for line in told) == started
    assert told[-1] == "docker stop --timeout 35 academy-green"
    assert not any("stop" in line and "blue" in line for line in told)


def test_no_way_back_to_a_container_that_may_have_stopped(tmp_path: Path) -> None:
    status, _, serving, told = rehearse(tmp_path, STOP="3")
    assert (status, serving) == (3, "academy-green:8000")
    assert "docker stop --timeout 35 academy-green" not in told


def test_the_script_and_the_releases_are_well_written() -> None:
    assert subprocess.run([BIN / "shellcheck", SCRIPT], capture_output=True, check=False).stdout == b""
    assert set(re.findall(r"DL\d+", hadolint(RELEASES))) == {"DL3006"}  # nexus-lab has no version


# What does not roll back ----------------------------------------------------------------------------


def moved(operation: Operation, *, forward: bool) -> None:
    """Apply a migration with this operation, or take it back."""
    migration = type("Migration", (migrations.Migration,), {"operations": [operation]})("0005_release", "academy")
    with connection.schema_editor() as editor:
        (migration.apply if forward else migration.unapply)(ProjectState.from_apps(apps), editor)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.wrong("lab/ci_cd/rollback_samples.py:wrong_remove")
def test_data_that_does_not_come_back(academy: None, session: Callable[..., None]) -> None:
    Enrollment.objects.filter(pk=1).update(grade=87)
    Course.objects.filter(pk=1).update(description="Tables, keys and queries")
    names: dict[str, Any] = {
        "forward": lambda operation: moved(operation, forward=True),
        "back": lambda operation: moved(operation, forward=False),
        "Course": Course,
    }
    with transaction.atomic():
        session("rollback_irreversible.pycon", steps_of_ten=steps_of_ten, **names)
        assert Enrollment.objects.get(pk=1).grade == 80
        with pytest.raises(IrreversibleError):
            moved(steps_of_ten, forward=False)
        session("rollback_remove.pycon", wrong_remove=wrong_remove, **names)
        assert Course.objects.get(pk=1).description == ""
        transaction.set_rollback(True)  # the column came back as the last one; other tests want the first order


def left_in_the_cache() -> None:
    cache.set("course:7", {"name": "Databases"})  # the new release calls it name
    cache.get("course:7")["title"]


def left_in_the_queue() -> None:
    # What lies in the queue is run by a worker of the old release.
    issue_certificates.apply(kwargs={"course": 1, "notify": True}).get()


def left_in_a_row() -> None:
    Course.Level("expert")  # a level that the new release has added


def left_with_a_visitor() -> None:
    Signer(salt="seat:2").sign("7").encode()
    Signer(salt="seat").unsign(Signer(salt="seat:2").sign("7"))


LEFT = {
    "a cached value of another shape": (left_in_the_cache, "KEY_PREFIX names the shape"),
    "a queued task with a new argument": (left_in_the_queue, "a release that accepts it, then one that sends it"),
    "a row with a new value": (left_in_a_row, "a release that reads it, then one that writes it"),
    "a link or token signed in a new way": (left_with_a_visitor, "accept both for as long as one lives"),
}


def style(folder: Path, text: str) -> str:
    """Collect a release's only static file; return the name that its pages ask for."""
    storage = ManifestStaticFilesStorage(location=str(folder), base_url="/static/")
    storage.save("academy.css", ContentFile(text.encode()))
    list(storage.post_process({"academy.css": (storage, "academy.css")}))
    return str(storage.stored_name("academy.css"))


def answer(folder: Path, name: str) -> str:
    """Ask a release for a static file, as lab/docker/wsgi.py serves it; return the status."""
    said: list[str] = []

    def not_found(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        start("404 Not Found", [])
        return []

    application = WhiteNoise(not_found, root=str(folder), prefix="static/")
    body = application(RequestFactory().get(f"/static/{name}").environ, lambda status, *_: said.append(status))
    getattr(body, "close", lambda: None)()
    return said[0]


def test_what_a_new_release_leaves_to_the_old_code(db: None, tmp_path: Path, record: Recorder) -> None:
    rows = ["| Left by the new release | The old code | Prepared by |", "| --- | --- | --- |"]
    for what, (happens, cure) in LEFT.items():
        with pytest.raises((KeyError, TypeError, ValueError, BadSignature)) as error:
            happens()
        message = "" if error.type is BadSignature else f": {error.value}"
        rows.append(f"| {what} | `{error.type.__name__}{message}` | {cure} |")
    old, new = tmp_path / "old", tmp_path / "new"
    before, after = style(old, "a { color: red }"), style(new, "a { color: blue }")
    assert before != after
    assert answer(old, before) == answer(new, after) == "200 OK"
    rows.append(
        f"| a page whose styles have a new name | `{answer(old, after)}` | static files outside the image, of both |"
    )
    record("rollback_left.md", "\n".join(rows))
