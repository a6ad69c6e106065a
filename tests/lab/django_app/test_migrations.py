"""What the page on migrations says: steps, data, ways back, and what stays when one fails."""

from __future__ import annotations

import datetime
import io
import re
import shutil
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, NotSupportedError, connection, migrations, models
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor
from psycopg.errors import LockNotAvailable

from lab.django_app.migration_samples import defaults, not_null, real_model, two_changes
from scripts.pages import ROOT
from tests.recording.shell import environment
from tests.recording.sql import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from tests.recording.files import Recorder

FIRST, LAST = ("academy", "0001_initial"), ("academy", "0004_course_slug_required")
SAMPLE = ("academy", "0005_sample")


# --8<-- [start:slugs]
@pytest.mark.databases
@pytest.mark.django_db(transaction=True)
def test_old_courses_get_slugs_of_their_own() -> None:
    day = datetime.date(2026, 1, 5)
    migrate_to("0001_initial")
    courses = models_at("0001_initial").get_model("academy", "Course").objects
    for title in ("Databases", "Data & APIs", "Data APIs", "+++"):
        courses.create(title=title, starts_on=day, ends_on=day)

    migrate_to("0004_course_slug_required")
    courses = models_at("0004_course_slug_required").get_model("academy", "Course").objects
    slugs = dict(courses.values_list("title", "slug"))
    again = courses.get(title="Data APIs")
    assert slugs == {
        "Databases": "databases",
        "Data & APIs": "data-apis",
        "Data APIs": f"data-apis-{again.pk}",
        "+++": "course",
    }

    migrate_to("0001_initial")
    assert "slug" not in columns("academy_course")
    migrate_to("0004_course_slug_required")
    assert dict(courses.values_list("title", "slug")) == slugs


def migrate_to(name: str) -> None:
    """Migrate the academy, forwards or backwards."""
    MigrationExecutor(connection).migrate([("academy", name)])


def models_at(name: str) -> Any:
    """Return the models as they were after a migration."""
    loader = MigrationExecutor(connection).loader
    return loader.project_state([("academy", name)]).apps


# --8<-- [end:slugs]


@pytest.mark.databases
@pytest.mark.django_db(transaction=True)
def test_a_slug_with_a_number_may_be_taken_too() -> None:
    day = datetime.date(2026, 1, 5)
    migrate_to("0001_initial")
    courses = models_at("0001_initial").get_model("academy", "Course").objects
    first = courses.create(title="Maps", starts_on=day, ends_on=day).pk
    for title in (f"Maps {first + 2}", "Maps"):
        courses.create(title=title, starts_on=day, ends_on=day)
    migrate_to("0004_course_slug_required")
    courses = models_at("0004_course_slug_required").get_model("academy", "Course").objects
    assert set(courses.values_list("slug", flat=True)) == {"maps", f"maps-{first + 2}", f"maps-{first + 3}"}


def columns(table: str) -> list[str]:
    """Return the names of a table's columns, as the database tells them."""
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def rows(sql: str) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def execute(sql: str) -> None:
    """Run a statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def executor_with(sample: ModuleType) -> MigrationExecutor:
    """Return an executor that knows one migration more than the academy has."""
    executor = MigrationExecutor(connection)
    migration = sample.Migration(SAMPLE[1], "academy")
    executor.loader.graph.add_node(SAMPLE, migration)
    for parent in migration.dependencies:
        executor.loader.graph.add_dependency(migration, SAMPLE, parent)
    return executor


def migrate(sample: ModuleType) -> None:
    """Apply a migration of the samples, as ``manage.py migrate`` does.

    Errors do not name the test database, which is another one in each run.
    """
    try:
        executor_with(sample).migrate([SAMPLE])
    except DatabaseError as error:
        name = str(connection.settings_dict["NAME"])
        error.args = tuple(part.replace(name, "academy") if isinstance(part, str) else part for part in error.args)
        raise


@pytest.fixture
def full_academy(transactional_db: None, academy: None) -> Iterator[None]:
    """An academy with rows; afterwards its tables are as the models say again."""
    yield
    if SAMPLE in MigrationExecutor(connection).loader.applied_migrations:
        execute("DELETE FROM django_migrations WHERE name = '0005_sample'")
    migrate_to(LAST[1])
    for column in {"room", "price"} & set(columns("academy_course")):
        execute(f"ALTER TABLE academy_course DROP COLUMN {column}")


@pytest.fixture(autouse=True)
def academy_is_up_to_date(transactional_db: None) -> Iterator[None]:
    """Whatever a test has left, the next finds every migration applied."""
    yield
    migrate_to(LAST[1])


SLUG_SQL = {"postgresql": "slug_postgresql.sql", "mariadb": "slug_mariadb.sql"}


@pytest.mark.databases("postgresql", "mariadb")
def test_sql_of_the_steps(record: Recorder, database: str) -> None:
    statements = []
    for name in ("0002", "0004"):
        output = io.StringIO()
        call_command("sqlmigrate", "academy", name, stdout=output, no_color=True)
        lines = [line for line in output.getvalue().splitlines() if not line.startswith("--") and line.strip()]
        assert (lines[0] == "BEGIN;") == (database == "postgresql")
        statements.append(f"-- {name}\n" + "\n".join(lay_out(line) for line in lines))
    record(SLUG_SQL[database], "\n\n".join(statements))


@pytest.mark.databases
def test_a_migration_without_a_way_back_cannot_be_undone() -> None:
    assert real_model.Migration.operations[0].reversible is False
    migration = real_model.Migration(*reversed(SAMPLE))
    state = MigrationExecutor(connection).loader.project_state([FIRST])
    with pytest.raises(IrreversibleError):
        migration.unapply(state, connection.schema_editor())
    noop = migrations.RunPython(real_model.tidy, migrations.RunPython.noop)
    assert noop.reversible


@pytest.mark.databases
@pytest.mark.wrong("lab/django_app/migration_samples/two_changes.py:wrong_two_changes")
def test_what_a_failed_migration_leaves(full_academy: None, database: str) -> None:
    with pytest.raises(IntegrityError):
        migrate(two_changes)
    assert ("room" in columns("academy_course")) == (database == "mariadb")
    assert SAMPLE not in MigrationExecutor(connection).loader.applied_migrations
    with pytest.raises(DatabaseError) as again:
        migrate(two_changes)
    assert ("Duplicate column name" in str(again.value)) == (database == "mariadb")


@pytest.mark.databases("postgresql")
def test_two_changes_session_postgresql(full_academy: None, session: Callable[..., None]) -> None:
    session("two_changes_postgresql.pycon", two_changes=two_changes, migrate=migrate, columns=columns)


@pytest.mark.databases("mariadb")
def test_two_changes_session_mariadb(full_academy: None, session: Callable[..., None]) -> None:
    session("two_changes_mariadb.pycon", two_changes=two_changes, migrate=migrate, columns=columns)


@pytest.mark.databases
@pytest.mark.wrong("lab/django_app/migration_samples/real_model.py:wrong_real_model")
def test_the_real_model_meets_an_older_table(full_academy: None) -> None:
    migrate(real_model)  # today's tables have the slug, and all is well
    execute("DELETE FROM django_migrations WHERE name = '0005_sample'")
    migrate_to(FIRST[1])
    with pytest.raises(DatabaseError, match="slug"):
        migrate(real_model)


@pytest.mark.databases("postgresql")
def test_real_model_session(full_academy: None, session: Callable[..., None]) -> None:
    migrate_to(FIRST[1])
    session("real_model.pycon", real_model=real_model, migrate=migrate)


@pytest.mark.databases
@pytest.mark.wrong("lab/django_app/migration_samples/not_null.py:wrong_not_null")
def test_not_null_without_a_default(full_academy: None, database: str) -> None:
    if database == "mariadb":
        assert "STRICT_TRANS_TABLES" in rows("SELECT @@sql_mode")[0][0]
        migrate(not_null)
        assert set(rows("SELECT room, price FROM academy_course")) == {("", 0)}
    else:
        with pytest.raises(IntegrityError):
            migrate(not_null)
        assert "room" not in columns("academy_course")


@pytest.mark.databases("postgresql")
def test_not_null_session_postgresql(full_academy: None, session: Callable[..., None]) -> None:
    session("not_null_postgresql.pycon", not_null=not_null, migrate=migrate)


@pytest.mark.databases("mariadb")
def test_not_null_session_mariadb(full_academy: None, session: Callable[..., None]) -> None:
    session("not_null_mariadb.pycon", not_null=not_null, migrate=migrate, rows=rows)


INSERT = """
INSERT INTO academy_course ({}title, slug, description, level, seats, published, starts_on, ends_on)
VALUES ({}'Maps', 'maps', '', 'beginner', 10, '0', '2026-01-05', '2026-02-16')
"""


@pytest.mark.databases
def test_old_code_lives_with_the_first_step_and_not_with_the_last(full_academy: None) -> None:
    old = INSERT.format("", "").replace("slug, ", "").replace("'maps', ", "")
    migrate_to("0002_course_slug")
    execute(old)
    migrate_to(LAST[1])
    with pytest.raises(DatabaseError, match="slug"):
        execute(old)


@pytest.mark.databases
def test_old_code_needs_a_default_in_the_database(full_academy: None) -> None:
    migrate(defaults)
    assert {"room", "price"} <= set(columns("academy_course"))
    with pytest.raises(DatabaseError, match="room"):
        execute(INSERT.format("", ""))  # as a process does that does not know the new columns
    execute(INSERT.format("room, ", "'R1', "))
    assert rows("SELECT room, price FROM academy_course WHERE slug = 'maps'") == [("R1", 0)]


@pytest.mark.databases
def test_a_field_can_leave_the_history_before_its_column(full_academy: None) -> None:
    leave = migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("course", "description")])
    migration = type("Migration", (migrations.Migration,), {"operations": [leave]})(*reversed(SAMPLE))
    state = MigrationExecutor(connection).loader.project_state([LAST])
    with connection.schema_editor() as editor:
        after = migration.apply(state, editor)
    assert "description" not in after.models["academy", "course"].fields
    assert "description" in columns("academy_course")


@pytest.mark.databases("postgresql")
def test_sql_of_defaults(full_academy: None, record: Recorder) -> None:
    state = MigrationExecutor(connection).loader.project_state([LAST])
    with connection.schema_editor(collect_sql=True) as editor:
        defaults.Migration(*reversed(SAMPLE)).apply(state, editor, collect_sql=True)
    lines = [line for line in editor.collected_sql if not line.startswith("--")]
    record("defaults.sql", "\n".join(lay_out(line) for line in lines))


@pytest.mark.databases("postgresql")
def test_an_index_without_a_lock_needs_a_migration_without_a_transaction() -> None:
    from django.contrib.postgres.operations import AddIndexConcurrently

    state = MigrationExecutor(connection).loader.project_state([LAST])
    add = AddIndexConcurrently("course", models.Index(fields=["title"], name="course_title"))
    migration = type("Migration", (migrations.Migration,), {"operations": [add]})(*reversed(SAMPLE))

    def apply(*, atomic: bool) -> None:
        with connection.schema_editor(atomic=atomic) as editor:
            migration.apply(state.clone(), editor)

    with pytest.raises(NotSupportedError, match="cannot be executed inside a transaction"):
        apply(atomic=True)
    apply(atomic=False)
    execute("DROP INDEX course_title")


@pytest.mark.databases("postgresql")
def test_who_comes_after_a_waiting_change_waits_too(full_academy: None) -> None:
    reader, changer, late = (connection.get_new_connection(connection.get_connection_params()) for _ in range(3))
    change = threading.Thread(target=changer.execute, args=["ALTER TABLE academy_course ADD room varchar(20)"])
    try:
        late.execute("SET lock_timeout = '300ms'")
        late.execute("SELECT title FROM academy_course")
        late.commit()
        reader.execute("SELECT title FROM academy_course")  # and its transaction stays open
        change.start()
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'academy_course'::regclass"
        while change.is_alive() and not rows(waiting):
            time.sleep(0.01)
        with pytest.raises(LockNotAvailable):
            late.execute("SELECT title FROM academy_course")
        assert change.is_alive()
    finally:
        reader.close()
        late.close()
        change.join()
        changer.close()  # rolls the change back


@pytest.mark.databases("postgresql")
def test_after_a_validated_check_nothing_is_read(full_academy: None) -> None:
    from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint

    migrate_to("0003_fill_course_slugs")
    check = models.CheckConstraint(condition=models.Q(slug__isnull=False), name="course_has_a_slug")
    state = MigrationExecutor(connection).loader.project_state([("academy", "0003_fill_course_slugs")])
    notices: list[str] = []
    connection.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    execute("SET client_min_messages = debug1")
    for operation in (AddConstraintNotValid("course", check), ValidateConstraint("course", "course_has_a_slug")):
        after = state.clone()
        operation.state_forwards("academy", after)
        with connection.schema_editor() as editor:
            operation.database_forwards("academy", editor, state, after)
        state = after
    migrate_to(LAST[1])
    execute("SET client_min_messages = notice")
    execute("ALTER TABLE academy_course DROP CONSTRAINT course_has_a_slug")
    assert any("sufficient to prove that it does not contain nulls" in notice for notice in notices)


@pytest.fixture
def scratch(tmp_path: Path) -> dict[str, str]:
    """A copy of the lab with a migrated database; returns the variables that its commands need."""
    shutil.copytree(ROOT / "lab", tmp_path / "lab", ignore=shutil.ignore_patterns("__pycache__", "recorded"))
    variables = {"DEBUG": "true", "DATABASE_URL": "sqlite:///academy.sqlite3"}
    subprocess.run(
        [sys.executable, "lab/manage.py", "migrate", "--verbosity=0"],
        cwd=tmp_path,
        env={**environment(tmp_path), **variables},
        check=True,
    )
    return variables


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reverse.console", "check.console"])
def test_commands(name: str, scratch: dict[str, str], shell: Callable[..., None], tmp_path: Path) -> None:
    shell(name, **scratch)
    assert not list(tmp_path.glob("lab/academy/migrations/0005*"))


@pytest.mark.slow
@pytest.mark.databases("postgresql")
def test_a_migration_gives_up(full_academy: None, scratch: dict[str, str], shell: Callable[..., None]) -> None:
    server = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**server)
    reader = connection.get_new_connection(connection.get_connection_params())
    try:
        reader.execute("SELECT title FROM academy_course")  # and its transaction stays open
        shell("lock_timeout.console", **{**scratch, "DATABASE_URL": url})
    finally:
        reader.close()


BRANCH = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("academy", "0004_course_slug_required")]
    operations = [migrations.AddField("course", "{0}", models.CharField(max_length=20, db_default=""))]
"""


@pytest.mark.slow
def test_merge(scratch: dict[str, str], shell: Callable[..., None], tmp_path: Path) -> None:
    for column in ("room", "language"):
        file = tmp_path / f"lab/academy/migrations/0005_course_{column}.py"
        file.write_text(BRANCH.format(column), encoding="utf-8")
    shell("merge.console", **scratch)


@pytest.mark.slow
def test_squash(scratch: dict[str, str], shell: Callable[..., None], tmp_path: Path) -> None:
    shell("squash.console", **scratch)
    folder = tmp_path / "lab/academy/migrations"
    squashed = folder / "0001_squashed_0004_course_slug_required.py"
    text = squashed.read_text(encoding="utf-8")
    assert "replaces = " in text
    # Carried over by hand, it runs, on an empty database too.
    fill = (folder / "0003_fill_course_slugs.py").read_text(encoding="utf-8")
    function = fill[fill.index("def fill") : fill.index("class Migration")]
    text = text.replace("lab.academy.migrations.0003_fill_course_slugs.fill", "fill")
    text = text.replace("class Migration", f"from django.utils.text import slugify\n\n\n{function}class Migration", 1)
    squashed.write_text(text, encoding="utf-8")
    env = {**environment(tmp_path), **scratch, "DATABASE_URL": "sqlite:///empty.sqlite3"}
    run = subprocess.run(
        [sys.executable, "lab/manage.py", "migrate"], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
    )
    assert re.findall(r"Applying academy\.(\S+)\.\.\. OK", run.stdout) == [squashed.stem]


@pytest.mark.slow
def test_squash_leaves_out_what_may_be_left_out(scratch: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "lab/academy/migrations/0003_fill_course_slugs.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("RunPython.noop)", "RunPython.noop, elidable=True)"), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "lab/manage.py", "squashmigrations", "academy", "0004", "--no-input"],
        cwd=tmp_path,
        env={**environment(tmp_path), **scratch},
        check=True,
        capture_output=True,
        text=True,
    )
    before, after = map(int, re.findall(r"from (\d+) operations to (\d+)", run.stdout)[0])
    assert before - after == 2
