"""The same on PostgreSQL and MariaDB, side by side."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import django
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import F
from django.db.transaction import TransactionManagementError
from django.test.utils import isolate_apps

from tests import databases
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django.db.migrations import Migration
    from django.db.models import Model
    from pytest_django import DjangoDbBlocker, Settings

    from tests.recording.files import Recorder

    Session = Callable[..., None]

with isolate_apps("lab.database_design"):  # these models are known to nobody else, and have no tables
    from lab.database_design.postgresql_and_mysql_samples import (
        Everything,
        OldGroup,
        StudyGroup,
        WrongMigration,
        add,
        upsert,
        wrong_add,
    )

Result = TypeVar("Result")
BOTH = ("postgresql", "mariadb")
ON_BOTH = pytest.mark.databases(*BOTH)
NAMES = {
    "postgresql": "postgresql_and_mysql_names_postgresql.pycon",
    "mariadb": "postgresql_and_mysql_names_mariadb.pycon",
}
HALF = {
    "postgresql": "postgresql_and_mysql_half_postgresql.pycon",
    "mariadb": "postgresql_and_mysql_half_mariadb.pycon",
}
UPSERT = {
    "postgresql": "postgresql_and_mysql_upsert_postgresql.pycon",
    "mariadb": "postgresql_and_mysql_upsert_mariadb.pycon",
}
MODELS: tuple[type[Model], ...] = (Everything, StudyGroup, OldGroup)
groups = StudyGroup._default_manager


def send(statement: str) -> list[tuple[Any, ...]]:
    """Send a statement and return the rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


@contextmanager
def made() -> Iterator[None]:
    """The tables of the sample models."""
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in MODELS:
                editor.delete_model(model)


@pytest.fixture
def tables(database: str, transactional_db: None) -> Iterator[None]:
    """The tables of the sample models."""
    with made():
        yield


def on_both(blocker: DjangoDbBlocker, ask: Callable[[], Result]) -> list[Result]:
    """Return what PostgreSQL and then MariaDB answer."""
    answers = []
    for name in BOTH:
        with blocker.unblock(), databases.use(name), made():
            answers.append(ask())
    return answers


def show(value: object) -> str:
    """Return a value as its cell."""
    known = {None: "NULL", True: "true", False: "false"}
    return f"`{known[value] if value is None or value is True or value is False else value}`"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def answer(statement: str) -> str:
    """Return the first row that a statement finds, or the error."""
    try:
        with transaction.atomic():
            rows = send(statement)
    except DatabaseError as error:
        return f"error: {reason(error)}"
    return show(", ".join("NULL" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for (v,) in rows))


def reason(error: DatabaseError) -> str:
    """Return the server's own words, shortened to what tells errors apart."""
    cause = error.__cause__
    assert cause
    text = str(cause.args[-1]).splitlines()[0].replace("`", "'")
    text = text.replace(f"{connection.settings_dict['NAME']}.", "")  # differs between processes
    return text.split(" (maximum")[0].split(" at row")[0].split("; check the manual")[0].split(" must appear")[0]


# One line, two answers

GRADES = "(SELECT 50 AS grade UNION ALL SELECT NULL UNION ALL SELECT 90) AS grades"
TITLES = "(SELECT 'Python' AS title, 'beginner' AS level UNION ALL SELECT 'Docker', 'beginner') AS courses"
LONG = "a" * 70
STATEMENTS = {
    "SELECT 7 / 2": "SELECT 7 / 2",
    "SELECT 7 / 0": "SELECT 7 / 0",
    "SELECT 'a' || 'b'": "SELECT 'a' || 'b'",
    "SELECT '7 seats' = 7": "SELECT '7 seats' = 7",
    "SELECT length('é')": "SELECT length('é')",
    'SELECT "Ama"': 'SELECT "Ama"',
    "SELECT grade … ORDER BY grade": f"SELECT grade FROM {GRADES} ORDER BY grade",  # noqa: S608
    "SELECT greatest(50, NULL)": "SELECT greatest(50, NULL)",
    "SELECT title … GROUP BY level": f"SELECT title FROM {TITLES} GROUP BY level",  # noqa: S608
    "SELECT count(*) FROM Academy_Tag": "SELECT count(*) FROM Academy_Tag",
}


@pytest.mark.services
def test_one_line_two_answers(record: Recorder, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    found = on_both(django_db_blocker, lambda: {name: answer(sql) for name, sql in STATEMENTS.items()})
    rows = [[f"`{name}`".replace("||", "\\|\\|"), *(each[name] for each in found)] for name in STATEMENTS]
    record("postgresql_and_mysql_lines.md", grid(["Statement", "PostgreSQL", "MariaDB"], rows))
    postgresql, mariadb = found
    assert (postgresql["SELECT 7 / 2"], mariadb["SELECT 7 / 2"]) == ("`3`", "`3.5000`")
    assert mariadb["SELECT 7 / 0"] == "`NULL`"
    assert all(one != other for one, other in zip(postgresql.values(), mariadb.values(), strict=True))


@ON_BOTH
def test_nulls_stand_where_the_query_says(tables: None) -> None:
    for desk, name in ((1, "Owls"), (None, "Larks"), (2, "Cats")):
        groups.create(name=name, desk=desk)
    first = groups.order_by("desk").values_list("desk", flat=True)[0]
    assert first == (1 if connection.vendor == "postgresql" else None)
    assert list(groups.order_by(F("desk").asc(nulls_last=True)).values_list("desk", flat=True)) == [1, 2, None]


@ON_BOTH
def test_a_long_name_is_cut_or_refused(transactional_db: None) -> None:
    if connection.vendor == "mysql":
        with pytest.raises(DatabaseError, match="Incorrect table name"):
            send(f"CREATE TABLE {LONG} (id int)")
        return
    send(f"CREATE TABLE {LONG} (id int)")
    send(f"DROP TABLE {'a' * 63}")


# Which texts are equal

PAIRS = (("Ama", "ama"), ("ama ", "ama"), ("Esi", "Ési"), ("🎓", "🚀"))
MARIADB = ("utf8mb4_unicode_ci", "utf8mb4_bin", "uca1400_nopad_as_cs")


def equal() -> list[list[bool]]:
    """Return for each way to compare which pairs are equal."""
    if connection.vendor == "postgresql":
        send("CREATE EXTENSION IF NOT EXISTS citext")
        ways = ["'{}' = '{}'", "'{}'::citext = '{}'::citext"]
    else:
        ways = [f"'{{}}' = '{{}}' COLLATE {collation}" for collation in MARIADB]
    return [[bool(send(f"SELECT {way.format(*pair)}")[0][0]) for pair in PAIRS] for way in ways]


@pytest.mark.services
def test_which_texts_are_equal(record: Recorder, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    postgresql, mariadb = on_both(django_db_blocker, equal)
    names = ["PostgreSQL", "PostgreSQL, `citext`", *(f"MariaDB, `{collation}`" for collation in MARIADB)]
    rows = [
        [name, *("equal" if same else "no" for same in found)]
        for name, found in zip(names, postgresql + mariadb, strict=True)
    ]
    header = ["Compared as", *(f"`'{one}'`, `'{other}'`" for one, other in PAIRS)]
    record("postgresql_and_mysql_equal.md", grid(header, rows))
    assert mariadb[0] == [True] * 4
    assert postgresql == [[False] * 4, [True, False, False, False]]


@ON_BOTH
def test_equal_texts_as_recorded(tables: None, database: str, session: Session) -> None:
    session(NAMES[database], groups=groups)


@pytest.mark.databases("mariadb")
def test_the_collation_of_the_lab(db: None) -> None:
    assert send("SELECT @@collation_database") == [("utf8mb4_unicode_ci",)]


# Types

FIELDS = {
    "BooleanField": "boolean",
    "PositiveIntegerField": "positive",
    "CharField(max_length=200)": "text",
    "TextField": "long_text",
    "DateTimeField": "moment",
    "DurationField": "duration",
    "UUIDField": "key",
    "JSONField": "document",
}


def types() -> dict[str, str]:
    """Return the type that the server has for each column."""
    if connection.vendor == "postgresql":
        sql = (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = 'database_design_everything'::regclass AND attnum > 0"
        )
    else:
        sql = (
            "SELECT column_name, column_type FROM information_schema.columns"
            " WHERE table_schema = database() AND table_name = 'database_design_everything'"
        )
    return dict(send(sql))


def checks() -> list[str]:
    """Return the CHECK constraints of that table."""
    sql = "SELECT check_clause FROM information_schema.check_constraints WHERE check_clause LIKE '%{}%'"
    return [str(clause) for name in ("positive", "document") for (clause,) in send(sql.format(name))]


@pytest.mark.services
def test_the_types_of_columns(record: Recorder, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    found = on_both(django_db_blocker, types)
    rows = [[f"`{field}`", *(f"`{each[column]}`" for each in found)] for field, column in FIELDS.items()]
    record("postgresql_and_mysql_types.md", grid(["Field", "PostgreSQL", "MariaDB"], rows))
    postgresql, mariadb = on_both(django_db_blocker, checks)
    assert [clause for clause in postgresql if "positive >= 0" in clause]
    assert [clause for clause in mariadb if clause.lower() == "json_valid(`document`)"]


@pytest.mark.databases("mariadb")
def test_a_negative_seat_breaks_no_check_but_the_type(tables: None) -> None:
    with pytest.raises((DataError, OperationalError, IntegrityError)):
        groups.create(name="Owls", seats=-1)


VALUES = {
    "`'Databases'` in `varchar(4)`": ("varchar(4)", "'Databases'"),
    "`40000` in `smallint`": ("smallint", "40000"),
    "`'7 seats'` in `smallint`": ("smallint", "'7 seats'"),
    "`'2026-02-30'` in `date`": ("date", "'2026-02-30'"),
    "`NULL` in `NOT NULL`, second row": ("smallint NOT NULL", "1), (NULL"),
    "`10:00:00.9` in a time with seconds": ("time(0)", "'10:00:00.9'"),
    "`🎓` in `utf8mb3`": ("varchar(4) CHARACTER SET utf8mb3", "'🎓'"),
}


def stored(kind: str, value: str) -> str:
    """Return what is stored of a value, or that it is refused."""
    if connection.vendor == "postgresql":
        kind = kind.split(" CHARACTER SET")[0]
    send(f"CREATE TABLE box (value {kind})")
    try:
        send(f"INSERT INTO box VALUES ({value})")  # noqa: S608
        return show(", ".join(str(found) for (found,) in send("SELECT value FROM box")))
    except DatabaseError:
        return "refused"
    finally:
        send("DROP TABLE box")


def strict_and_not() -> list[list[str]]:
    """Return what is stored of each value; on MariaDB without strict mode too."""
    found = [[stored(*value) for value in VALUES.values()]]
    if connection.vendor == "mysql":
        (mode,) = send("SELECT @@sql_mode")[0]
        try:
            send("SET sql_mode = ''")
            found.append([stored(*value) for value in VALUES.values()])
        finally:
            send(f"SET sql_mode = '{mode}'")
    return found


@pytest.mark.services
def test_what_is_stored(record: Recorder, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    postgresql, mariadb = on_both(django_db_blocker, strict_and_not)
    rows = [list(row) for row in zip(VALUES, *postgresql, *mariadb, strict=True)]
    header = ["Value", "PostgreSQL", "MariaDB, strict", "MariaDB, not strict"]
    record("postgresql_and_mysql_stored.md", grid(header, rows))
    assert "refused" not in mariadb[1]


NAIROBI = {"postgresql": "SET TIME ZONE 'Africa/Nairobi'", "mysql": "SET time_zone = '+03:00'"}


@ON_BOTH
def test_a_reader_in_nairobi(tables: None) -> None:
    """A moment on PostgreSQL, digits on MariaDB."""
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    connection.cursor().execute(NAIROBI[connection.vendor])
    try:
        sql = "SELECT CAST({} AS CHAR(19))"
        send("CREATE TABLE box (value {})".format(Everything._meta.get_field("moment").db_type(connection)))
        zone = "+00" if connection.vendor == "postgresql" else ""
        send(f"INSERT INTO box VALUES ('{noon:%Y-%m-%d %H:%M:%S}{zone}')")  # noqa: S608
        (shown,) = send(f"{sql.format('value')} FROM box")[0]
    finally:
        send("DROP TABLE box")
        connection.close()  # the next has its own time zone
    assert shown == ("2026-01-05 15:00:00" if connection.vendor == "postgresql" else "2026-01-05 12:00:00")


@ON_BOTH
def test_a_day_in_another_time_zone(tables: None, settings: Settings) -> None:
    settings.TIME_ZONE = "Africa/Nairobi"
    everything = Everything._default_manager
    everything.create(
        boolean=True,
        positive=1,
        moment=datetime(2026, 1, 5, 22, tzinfo=UTC),
        duration=timedelta(1),
        key=UUID(int=1),
        document={},
    )
    found = everything.filter(moment__date="2026-01-06").count()
    zones = "SELECT CONVERT_TZ('2026-01-05 12:00:00', 'UTC', 'Africa/Nairobi') IS NOT NULL"
    assert found == (1 if connection.vendor == "postgresql" else send(zones)[0][0])


# Half a migration


def migrate(migration: type[Migration]) -> None:
    """Apply a migration as ``manage.py migrate`` does."""
    state = ProjectState()
    state.add_model(ModelState.from_model(OldGroup))
    with connection.schema_editor(atomic=migration.atomic) as editor:
        migration("0002", "database_design").apply(state, editor)


def columns() -> list[str]:
    """Return the columns of the table."""
    with connection.cursor() as cursor:
        return [
            column.name for column in connection.introspection.get_table_description(cursor, "database_design_oldgroup")
        ]


@pytest.mark.wrong("lab/database_design/postgresql_and_mysql_samples.py:wrong_migration")
@ON_BOTH
def test_half_a_migration_as_recorded(tables: None, database: str, session: Session) -> None:
    old = OldGroup._default_manager
    old.bulk_create([OldGroup(name="Night owls"), OldGroup(name="Night owls")])
    session(
        HALF[database],
        migrate=migrate,
        columns=columns,
        groups=old,
        WrongMigration=WrongMigration,
    )
    assert "closed" in columns()


# An error inside a transaction


@pytest.mark.wrong("lab/database_design/postgresql_and_mysql_samples.py:wrong_add")
@ON_BOTH
def test_an_error_inside_a_transaction(tables: None) -> None:
    if connection.vendor == "postgresql":
        with pytest.raises(InternalError, match="current transaction is aborted"):
            wrong_add(["Owls", "Owls", "Larks"])
        assert groups.count() == 0
    else:
        wrong_add(["Owls", "Owls", "Larks"])
        assert groups.count() == 2
    groups.all().delete()
    add(["Owls", "Owls", "Larks"])
    assert groups.count() == 2


@ON_BOTH
def test_the_orm_refuses_to_go_on_everywhere(tables: None) -> None:
    with transaction.atomic():
        groups.create(name="Owls")
        with pytest.raises(IntegrityError):
            groups.create(name="Owls")
        with pytest.raises(TransactionManagementError):
            groups.exists()
    assert groups.count() == 0


# Upsert


@ON_BOTH
def test_upsert_as_recorded(tables: None, database: str, session: Session) -> None:
    groups.create(name="Owls", desk=1)
    groups.create(name="Larks", desk=2)
    session(UPSERT[database], upsert=upsert, StudyGroup=StudyGroup, groups=groups)


@ON_BOTH
def test_the_statements_of_upsert(tables: None, database: str) -> None:
    groups.create(name="Owls", desk=1)
    with queries() as sent:
        upsert([StudyGroup(name="Owls", desk=3, seats=6)])
    assert groups.get().desk == 3
    sql = next(statement for statement in sent.statements if statement.startswith("INSERT"))
    assert ("ON DUPLICATE KEY UPDATE" if database == "mariadb" else 'ON CONFLICT("name") DO UPDATE') in sql
    assert "RETURNING" in sql


@pytest.mark.databases("mariadb")
def test_mariadb_takes_no_target(tables: None) -> None:
    with pytest.raises(NotSupportedError, match="unique fields"):
        groups.bulk_create(
            [StudyGroup(name="Owls")], update_conflicts=True, unique_fields=["name"], update_fields=["seats"]
        )


@ON_BOTH
def test_bulk_create_brings_the_keys(tables: None) -> None:
    made = groups.bulk_create([StudyGroup(name="Owls"), StudyGroup(name="Larks")])
    assert all(group.pk for group in made)


@pytest.mark.databases("mariadb")
def test_replace_deletes(tables: None) -> None:
    group = groups.create(name="Owls", seats=9)
    send("REPLACE INTO database_design_studygroup (name, seats) VALUES ('Owls', 4)")
    assert groups.get().pk != group.pk


# Settings and versions


@pytest.mark.databases("mariadb")
def test_django_warns_without_strict_mode(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = connections["default"]
    assert wrapper.validation.check() == []
    monkeypatch.setitem(wrapper.__dict__, "sql_mode", {"ANSI"})  # a cached property
    assert [warning.id for warning in wrapper.validation.check()] == ["mysql.W002"]


@ON_BOTH
def test_the_oldest_server_that_django_takes(db: None) -> None:
    new = django.VERSION >= (6, 1)
    oldest = {"postgresql": (15,) if new else (14,), "mysql": (10, 11) if new else (10, 5)}
    assert connection.features.minimum_database_version == oldest[connection.vendor]
