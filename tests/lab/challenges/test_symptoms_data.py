"""Errors of databases and of async code that people search for: each is raised here, and its text is the entry's."""

from __future__ import annotations

import asyncio
import datetime
import gc
import re
import shutil
import sqlite3
import warnings
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler
from django.test import override_settings

from lab.academy.models import Certificate, Course, Lesson, Tag, User
from scripts.pages import ROOT
from scripts.services import Unavailable, running
from tests.lab.challenges.symptoms import connect, last_line, symptom
from tests.lab.database_design.two import LIMIT, people, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.db.backends.base.base import BaseDatabaseWrapper

    from tests.recording.files import Recorder


def sql(statement: str) -> None:
    """Send a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def no_table(folder: Path) -> object:
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql("DROP TABLE academy_certificate")
    return Certificate.objects.first()


def no_column(folder: Path) -> object:
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql("ALTER TABLE academy_lesson DROP COLUMN minutes")
    return Lesson.objects.first()


def not_unique(folder: Path) -> object:
    Tag.objects.get_or_create(name="web")
    return Tag.objects.create(name="web")


def not_null(folder: Path) -> object:
    return Course.objects.create(title="Go", slug="go", ends_on=datetime.date(2026, 3, 27))


def still_referenced(folder: Path) -> object:
    return Course.objects.get(slug="python").delete()


def too_long(folder: Path) -> object:
    return Tag.objects.create(name="a name that is longer than the forty characters of its column")


def broken_transaction(folder: Path) -> object:
    try:
        Tag.objects.create(name=Tag.objects.all()[0].name)
    except IntegrityError:
        return Tag.objects.count()
    return None


def outside_a_transaction(folder: Path) -> object:
    return Course.objects.select_for_update().get(slug="python")


def conflicting_migrations(folder: Path) -> object:
    """Let two branches add a migration each after the same one."""
    package = folder / "two_branches"
    shutil.copytree(ROOT / "lab/academy/migrations", package, ignore=shutil.ignore_patterns("__pycache__"))
    latest = max(path.stem for path in package.glob("0*.py"))
    for name in ("0099_course_room", "0099_course_language"):
        (package / f"{name}.py").write_text(
            "from django.db import migrations\n\n"
            f"class Migration(migrations.Migration):\n    dependencies = [('academy', '{latest}')]\n",
            encoding="utf-8",
        )
    with pytest.MonkeyPatch.context() as patched, override_settings(MIGRATION_MODULES={"academy": "two_branches"}):
        patched.syspath_prepend(folder)
        return call_command("makemigrations", "academy")


def migrations_out_of_order(folder: Path) -> object:
    """Let the table say what it says when the project got its own user model after the first ``migrate``."""
    MigrationRecorder.Migration.objects.filter(app="academy").delete()
    return call_command("migrate", verbosity=0)


def deadlock(folder: Path) -> str:
    update = "UPDATE academy_course SET seats = 1 WHERE slug = '{}'"
    with people("Ama", "Kofi") as (ama, kofi):
        for person, slug in ((ama, "python"), (kofi, "django")):
            person.sql("SET deadlock_timeout = '50ms'")
            person.sql("BEGIN")
            person.sql(update.format(slug))
        steps = [ama.start(send, update.format("django")), kofi.start(send, update.format("python"))]
        errors = [step.exception(LIMIT) for step in steps]
    return "\n".join(last_line(error) for error in errors if error)


# On SQLite


def empty(folder: Path) -> BaseDatabaseWrapper:
    """Return Django's connection to a file that does not exist yet."""
    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3", "OPTIONS": {"timeout": 0}}
    return ConnectionHandler({"default": settings})["default"]


def no_table_on_sqlite(folder: Path) -> object:
    with closing(empty(folder)) as database, database.cursor() as cursor:
        return cursor.execute("SELECT name FROM academy_tag")


def locked_on_sqlite(folder: Path) -> object:
    with closing(sqlite3.connect(folder / "db.sqlite3")) as one, closing(empty(folder)) as other:
        one.execute("CREATE TABLE tag (name)")
        one.execute("INSERT INTO tag VALUES ('web')")  # and no commit
        with other.cursor() as cursor:
            return cursor.execute("INSERT INTO tag VALUES ('data')")


# Time, and async code


def naive_datetime(folder: Path) -> str:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        User.objects.filter(date_joined__gt=datetime.datetime(2026, 1, 12, 9, 30)).exists()
    return said(seen)


def said(seen: list[warnings.WarningMessage]) -> str:
    """Return warnings as they are printed, without the place."""
    return "\n".join(f"{each.category.__name__}: {each.message}" for each in seen)


def sync_in_async(folder: Path) -> object:
    async def view() -> Course | None:
        return Course.objects.first()

    return asyncio.run(view())


def never_awaited(folder: Path) -> str:
    async def view() -> None:
        Course.objects.acount()  # type: ignore[unused-coroutine]

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        asyncio.run(view())
        gc.collect()
    return said(seen)


def not_awaited_attribute(folder: Path) -> object:
    async def view() -> str:
        course = Course.objects.aget(slug="python")
        with closing(course):
            return course.title  # type: ignore[attr-defined,no-any-return]

    return asyncio.run(view())


def run_in_a_loop(folder: Path) -> object:
    async def view() -> int:
        counting = Course.objects.acount()
        with closing(counting):
            return asyncio.run(counting)

    return asyncio.run(view())


def another_loop(folder: Path) -> object:
    """Make a lock that a first loop has used wait in a second one."""
    lock = asyncio.Lock()

    async def both() -> None:
        async def hold() -> None:
            async with lock:
                await asyncio.sleep(0)

        await asyncio.gather(hold(), hold())

    asyncio.run(both())
    return asyncio.run(both())


def closed_loop(folder: Path) -> object:
    loop = asyncio.new_event_loop()
    loop.close()
    return loop.call_soon(print)


POSTGRESQL: dict[str, Callable[[Path], object]] = {
    "symptom_no_table.txt": no_table,
    "symptom_no_column.txt": no_column,
    "symptom_not_unique.txt": not_unique,
    "symptom_not_null.txt": not_null,
    "symptom_still_referenced.txt": still_referenced,
    "symptom_too_long.txt": too_long,
    "symptom_broken_transaction.txt": broken_transaction,
    "symptom_conflicting_migrations.txt": conflicting_migrations,
    "symptom_migrations_out_of_order.txt": migrations_out_of_order,
}
COMMITTED: dict[str, Callable[[Path], object]] = {
    "symptom_outside_a_transaction.txt": outside_a_transaction,
    "symptom_deadlock.txt": deadlock,
}
ANYWHERE: dict[str, Callable[[Path], object]] = {
    "symptom_no_table_sqlite.txt": no_table_on_sqlite,
    "symptom_not_unique_sqlite.txt": not_unique,
    "symptom_not_null_sqlite.txt": not_null,
    "symptom_locked_sqlite.txt": locked_on_sqlite,
    "symptom_naive_datetime.txt": naive_datetime,
    "symptom_sync_in_async.txt": sync_in_async,
    "symptom_never_awaited.txt": never_awaited,
    "symptom_not_awaited_attribute.txt": not_awaited_attribute,
    "symptom_run_in_a_loop.txt": run_in_a_loop,
    "symptom_another_loop.txt": another_loop,
    "symptom_closed_loop.txt": closed_loop,
}
VOLATILE = re.compile(r"(?<=\nDETAIL:  )(Failing row|Process).*|(?<= at )0x[0-9a-f]+|(?<=, ){<Enroll.*}", re.DOTALL)


def first_lines(text: str) -> str:
    """Return a text without what differs from run to run, and without the caret under a statement."""
    lines = VOLATILE.sub("…", text).splitlines()
    return "\n".join(line for line in lines if line.strip() not in {"^", ""})


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", POSTGRESQL)
def test_an_error_of_postgresql(academy: None, record: Recorder, tmp_path: Path, name: str) -> None:
    record(name, first_lines(symptom(POSTGRESQL[name], tmp_path)))


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", COMMITTED)
def test_an_error_between_transactions(academy: None, record: Recorder, tmp_path: Path, name: str) -> None:
    record(name, first_lines(symptom(COMMITTED[name], tmp_path)))


@pytest.mark.parametrize("name", ANYWHERE)
def test_an_error_anywhere(academy: None, record: Recorder, tmp_path: Path, name: str) -> None:
    record(name, first_lines(symptom(ANYWHERE[name], tmp_path)))


@pytest.mark.services
@pytest.mark.django_db
def test_a_server_without_room(record: Recorder) -> None:
    def crowd() -> None:
        with running("postgresql") as url, ExitStack() as clients:
            for _ in range(100):
                clients.enter_context(closing(psycopg.connect(url)))
            connect(url)

    try:
        text = symptom(crowd)
    except Unavailable as reason:
        pytest.skip(str(reason))
    record("symptom_too_many_clients.txt", re.sub(r"port \d+", "port …", text))
