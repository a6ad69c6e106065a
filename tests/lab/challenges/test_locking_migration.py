"""A migration of a table that a report reads and people write to."""

from __future__ import annotations

from concurrent.futures import TimeoutError as StillWaiting
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, migrations
from django.db.migrations.loader import MigrationLoader

from lab.challenges.locking_migration.broken import m0005_points
from lab.challenges.locking_migration.fixed import m0006_points_index
from scripts.pages import ROOT
from tests.lab.challenges.conftest import Version
from tests.lab.ci_cd.pytest_run import quoted
from tests.lab.database_design import psql
from tests.lab.database_design.two import LIMIT, code, people, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tests.recording.files import Recorder

PATIENCE = 5  # seconds that somebody may wait for a migration; without a limit it would be for ever
LAB = "lab/challenges/locking_migration"
READ = "SELECT COUNT(*) FROM academy_enrollment"
GRADE = "UPDATE academy_enrollment SET grade = 50 WHERE id = {}"
ATTEMPTS = 3
POSTGRESQL = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)


@pytest.fixture
def enrollments(academy: None) -> Iterator[None]:
    """The academy, whose table gets its columns back at the end."""
    yield
    send("ALTER TABLE academy_enrollment DROP COLUMN IF EXISTS points")


class Deployment:
    """The migrations of a version, in the order of their names; ``run`` goes on after the last that was applied."""

    def __init__(self, version: Version) -> None:
        names = sorted(path.stem for path in version.folder.glob("m0*.py"))
        self.waiting: list[tuple[str, type[migrations.Migration]]] = [
            (name, version.module(name).Migration) for name in names
        ]
        self.state: Any = None
        self.building: Callable[[], object] | None = None  # called before an index is built

    def run(self) -> None:
        """Apply what is left, as ``manage.py migrate`` does, over the connection of this thread."""
        self.state = self.state or MigrationLoader(connection).project_state()

        def stop(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            if self.building and str(sql).lstrip().upper().startswith("CREATE INDEX"):
                self.building()
            return execute(sql, *rest)

        with connection.execute_wrapper(stop):
            while self.waiting:
                name, made = self.waiting[0]
                migration = made(name, "academy")
                with connection.schema_editor(atomic=migration.atomic) as editor:
                    after = migration.apply(self.state.clone(), editor)
                self.state = after
                self.waiting.pop(0)


def gave_up(attempt: Future[None]) -> bool:
    """Return whether an attempt ended because it would not wait any longer."""
    if not attempt.done() or attempt.exception() is None:
        return False
    assert code(attempt.exception() or Exception()) == "55P03", attempt.exception()
    return True


def rehearse(deployment: Deployment) -> None:
    """Deploy while a report reads, and then while people write."""
    with people("Ama", "Esi", "Kofi") as (ama, esi, kofi):
        ama.sql("BEGIN")
        ama.sql(READ)
        attempt = esi.start(deployment.run)
        step = kofi.start(send, READ)
        try:
            step.result(PATIENCE)
        except StillWaiting:
            raise AssertionError(
                f"a learner only reads, and still waits after {PATIENCE} seconds:\n"
                "behind a migration, which waits for a report, which only reads"
            ) from None

        def write_and_stay() -> None:
            kofi.sql("ROLLBACK")
            kofi.sql("BEGIN")
            kofi.start(send, GRADE.format(1))
            kept_out.append(kofi.waiting)
            limits.append(send("SHOW lock_timeout"))  # of the migration, whose thread this is

        kept_out: list[bool] = []
        limits: list[object] = []
        deployment.building = write_and_stay
        ama.sql("COMMIT")
        for _ in range(ATTEMPTS):
            if gave_up(attempt):
                attempt = esi.start(deployment.run)
            waits = esi.waiting
            assert not any(kept_out), "a teacher grades, and waits: the index is built while the table is locked"
            if waits:  # for Kofi, who has written and stays
                ama.start(send, GRADE.format(2))
                assert not ama.waiting, "a teacher grades, and waits: an index is built, and nobody may write"
                if len(limits) == 1 and limits != [[("0",)]]:
                    wait([attempt], PATIENCE)  # the first time Kofi stays longer than the migration waits
                kofi.sql("COMMIT")
                esi.settle()
        assert attempt.done()
        assert not gave_up(attempt), f"the migration has given up {ATTEMPTS} times"
        esi.step = None
    assert send("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('enrollment_points')") == [(True,)]


@POSTGRESQL
@TOGETHER
@pytest.mark.broken("locking_migration.txt")
@pytest.mark.wrong("lab/challenges/locking_migration/broken/m0005_points.py:wrong_migration")
def test_nobody_waits_for_a_migration(version: Version, enrollments: None) -> None:
    rehearse(Deployment(version))


LIMITED = [migrations.RunSQL("SET LOCAL lock_timeout = '1s'"), *m0005_points.Migration.operations]


class Half(migrations.Migration):
    """The broken migration with a limit."""

    operations = LIMITED


class Column(migrations.Migration):
    """The first half of it."""

    operations = LIMITED[:-1]


class Index(migrations.Migration):
    """The second half of it, still with a limit."""

    operations = LIMITED[::2]


class ColumnForTheSession(migrations.Migration):
    """The first half, with a limit that does not end with the transaction."""

    operations = migrations.RunSQL("SET lock_timeout = '1s'"), m0005_points.Migration.operations[0]


@POSTGRESQL
@TOGETHER
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([Half], "the index is built while the table is locked"),
        ([Column, Index], "nobody may write|has given up"),
        ([ColumnForTheSession, m0006_points_index.Migration], 'relation "enrollment_points" already exists'),
    ],
    ids=["one file", "two files", "of the session"],
)
def test_a_limit_alone_is_half_a_fix(enrollments: None, files: list[type[migrations.Migration]], said: str) -> None:
    deployment = Deployment(Version(ROOT / LAB / "fixed"))
    deployment.waiting = [(f"m{number}", file) for number, file in enumerate(files)]
    with pytest.raises(AssertionError, match=said):
        rehearse(deployment)


@POSTGRESQL
@TOGETHER
def test_who_waits_for_whom(enrollments: None, record: Recorder) -> None:
    with people("Ama", "Esi", "Kofi") as (ama, esi, kofi):
        for person, name in ((ama, "report"), (esi, "migration"), (kofi, "learner")):
            person.sql(f"SET application_name = 'academy {name}'")
        ama.sql("BEGIN")
        ama.sql(READ)
        attempt = esi.start(Deployment(Version(ROOT / LAB / "broken")).run)
        assert esi.waiting
        kofi.start(send, READ)
        assert kofi.waiting
        with connection.cursor() as cursor:
            cursor.execute(quoted(f"{LAB}/queue.sql", "queue"))
            rows = cursor.fetchall()
        record("locking_migration_queue.txt", psql.table(["who", "state", "waits_for", "behind"], rows))
        assert [row[3] for row in rows] == ["academy migration", "academy report", None]
        ama.sql("COMMIT")
        attempt.result(LIMIT)
        esi.step = None


@POSTGRESQL
@TOGETHER
def test_a_limit_leaves_an_index_that_is_not_valid(enrollments: None, record: Recorder) -> None:
    send("ALTER TABLE academy_enrollment ADD COLUMN points smallint")
    build = "CREATE INDEX CONCURRENTLY enrollment_points ON academy_enrollment (points)"
    look = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'enrollment_points'::regclass"
    with people("Kofi", "Esi") as (kofi, esi):
        kofi.sql("BEGIN")
        kofi.sql(GRADE.format(1))
        esi.sql("SET lock_timeout = '100ms'")
        with pytest.raises(DatabaseError) as failed:
            esi.sql(build)
        kofi.sql("COMMIT")
    assert send(look) == [(False,)]
    error = failed.value.__cause__.diag.message_primary  # type: ignore[union-attr]
    lines = ["=> SET lock_timeout = '100ms';", "SET", f"=> {build};", f"ERROR:  {error}"]
    record("locking_migration_invalid.psql", "\n".join([*lines, f"=> {look};", psql.table(["indisvalid"], [["f"]])]))
