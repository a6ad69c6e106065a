"""What code lets through and a constraint does not, alone and in a race; and what each database leaves out."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.core.checks import WARNING
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.db.migrations.operations import AddConstraint
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import CheckConstraint, F, Q
from django.test import RequestFactory
from django.test.utils import isolate_apps

from lab.academy.models import Course, Enrollment
from lab.database_design.constraints import save_or_explain, violated, wrong_insert_first
from scripts.pages import ROOT
from scripts.proof import sections
from tests import databases
from tests.lab.database_design.two import LIMIT, Person, people
from tests.recording import versions
from tests.recording.chart import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.migrations.operations.base import Operation
    from django.db.models import Model
    from django.http import HttpResponse
    from pytest_django import DjangoDbBlocker

    from tests.recording.files import Recorder

    Session = Callable[..., None]

with isolate_apps("lab.database_design"):  # these models are known to nobody else, and have no tables
    from lab.database_design.constraints_samples import (
        Booking,
        Locker,
        LooseBooking,
        Room,
        book,
        overlapping,
        wrong_book,
    )

SQL = (ROOT / "lab/database_design/constraints.sql").read_text(encoding="utf-8")
ON_POSTGRESQL = pytest.mark.databases("postgresql")
TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def at(hour: int) -> datetime:
    """Return an hour of one day."""
    return datetime(2026, 1, 5, hour, tzinfo=UTC)


def run(*statements: str) -> None:
    """Send statements that find nothing."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def made() -> Iterator[Room]:
    """The tables of the sample models, and a room; that of bookings where there are exclusion constraints."""
    models: list[type[Model]] = [Room, LooseBooking, Locker]
    if connection.vendor == "postgresql":
        models.append(Booking)
        run("CREATE EXTENSION IF NOT EXISTS btree_gist")
    with connection.schema_editor() as editor:
        for model in models:
            editor.create_model(model)
    try:
        yield Room._default_manager.create(code="A1")
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(models):
                editor.delete_model(model)


@pytest.fixture
def room(database: str, transactional_db: None) -> Iterator[Room]:
    """The tables of the sample models, and a room."""
    with made() as room:
        yield room


def loose(room: Room, start: int, end: int) -> LooseBooking:
    """Store a booking without asking anybody."""
    return LooseBooking._default_manager.create(room=room, starts_at=at(start), ends_at=at(end))


# Past the code


@pytest.mark.wrong("lab/database_design/constraints_samples.py:wrong_clean")
@pytest.mark.databases
def test_who_walks_past_clean(room: Room) -> None:
    with pytest.raises(ValidationError, match="ends after it starts"):
        LooseBooking(room=room, starts_at=at(12), ends_at=at(10)).full_clean()
    loose(room, 12, 10)
    loose(room, 14, 16)
    with pytest.raises(ValidationError, match="taken"):
        LooseBooking(room=room, starts_at=at(15), ends_at=at(17)).full_clean()
    LooseBooking(room=room, starts_at=at(16), ends_at=at(17)).full_clean()
    loose(room, 15, 17)
    LooseBooking._default_manager.update(ends_at=F("starts_at"))
    assert LooseBooking._default_manager.filter(ends_at=F("starts_at")).count() == 3


@ON_POSTGRESQL
def test_past_clean_and_no_further_as_recorded(room: Room, session: Session) -> None:
    names = {"room": room, "at": at, "F": F}
    session("constraints_loose.pycon", **names, LooseBooking=LooseBooking)
    session("constraints_booking.pycon", **names, Booking=Booking)


# The race


def save(room: Room) -> None:
    """Write a booking: the second half of ``wrong_book``."""
    loose(room, 10, 12)


def check(room: Room) -> None:
    """Look whether the room is free: its first half."""
    LooseBooking(room=room, starts_at=at(10), ends_at=at(12)).full_clean()


def meet(room: Room) -> str:
    """Let two people look, then write, then commit; return what the second one's writing did."""

    def begin(person: Person) -> None:
        person.do(transaction.set_autocommit, False)

    def end(person: Person, how: Callable[[], None]) -> None:
        person.do(how)
        person.do(transaction.set_autocommit, True)

    with people("Ama", "Kofi") as (ama, kofi):
        for person in (ama, kofi):
            begin(person)
            person.do(check, room)
        ama.do(save, room)
        writing = kofi.start(save, room)
        waited = kofi.waiting
        end(ama, transaction.commit)
        try:
            writing.result(LIMIT)
        except IntegrityError as error:
            happened = type(error).__name__
        else:
            happened = "stored"
        kofi.settle()
        kofi.step = None
        end(kofi, transaction.rollback if happened != "stored" else transaction.commit)
    return f"waits, then `{happened}`" if waited else happened


@pytest.mark.wrong("lab/database_design/constraints_samples.py:wrong_book")
@pytest.mark.services
def test_two_people_book_one_room(record: Recorder, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Both find the room free, and both write. The constraint alone keeps the second out."""
    lines = ["| Database | Rule | Kofi's `save()` | Bookings |", "| --- | --- | --- | ---: |"]
    found = {}
    for name in ("postgresql", "mariadb"):
        with django_db_blocker.unblock(), databases.use(name), made() as room:
            manager: Any = LooseBooking._default_manager
            for rule in ("`clean()` alone", "`EXCLUDE`" if name == "postgresql" else "`WITHOUT OVERLAPS`"):
                if rule != "`clean()` alone":
                    constrain(name)
                happened = meet(room)
                found[name, rule] = happened, manager.count()
                lines.append(f"| {TITLES[name]} | {rule} | {happened} | {manager.count()} |")
                manager.all().delete()
            wrong_book(room, at(10), at(12))
            with pytest.raises(ValidationError, match="taken"):
                wrong_book(room, at(11), at(13))
    stored, refused = ("stored", 2), ("waits, then `IntegrityError`", 1)
    assert list(found.values()) == [stored, refused, stored, refused]
    record("constraints_race.md", "\n".join(lines))


def constrain(database: str) -> None:
    """Give the loose bookings the rule that two of them may not meet."""
    if database == "mariadb":
        lines = sections(SQL)["mariadb"]
        run("\n".join(SQL.splitlines()[lines.start - 1 : lines.stop - 1]))
        return
    rule = Booking._meta.constraints[1].clone()
    assert isinstance(rule, ExclusionConstraint)
    rule.name, rule.condition = "one_loose_booking_at_a_time", None
    with connection.schema_editor() as editor:
        editor.add_constraint(LooseBooking, rule)


@pytest.mark.databases("mariadb")
def test_mariadb_refuses_what_overlaps_and_what_is_backwards(room: Room) -> None:
    constrain("mariadb")
    loose(room, 10, 12)
    loose(room, 12, 13)
    with pytest.raises(IntegrityError, match="one_booking_at_a_time"):
        loose(room, 11, 13)
    with pytest.raises(IntegrityError, match="during"):
        loose(room, 16, 15)


@ON_POSTGRESQL
def test_postgresql_18_has_without_overlaps_for_ranges(db: None) -> None:
    run(
        "CREATE EXTENSION IF NOT EXISTS btree_gist",
        "CREATE TABLE spell (room bigint, during tstzrange, UNIQUE (room, during WITHOUT OVERLAPS))",
        "INSERT INTO spell VALUES (1, '[2026-01-05 10:00, 2026-01-05 12:00)')",
    )
    with pytest.raises(IntegrityError):
        run("INSERT INTO spell VALUES (1, '[2026-01-05 11:00, 2026-01-05 13:00)')")


# What the databases make of each kind


def row(nth: int, **fields: Any) -> Locker:
    """Return the n-th locker, not saved yet."""
    return Locker(
        **{
            "room": Room._default_manager.get(),
            "label": f"A{nth}",
            "number": nth,
            "place": nth,
            "learner": f"Learner {nth}",
            **fields,
        }
    )


# What is written beside the first locker: the second breaks one rule.
BROKEN: dict[str, dict[str, Any]] = {
    "`NOT NULL`": {"number": None},
    "`FOREIGN KEY`": {"room": Room(pk=999)},
    "`CHECK`": {"number": -1},
    "`max_length`": {"label": "A1234"},
    "unique, on an expression": {"label": "a1"},
    "unique, with a condition": {"learner": "Learner 1"},
    "unique, `nulls_distinct=False`": {"number": 1},
    "unique, deferrable": {"place": 1},
}
WARNED = {
    "unique, on an expression": "models.W044",
    "unique, with a condition": "models.W036",
    "unique, `nulls_distinct=False`": "models.W047",
    "unique, deferrable": "models.W038",
}


def outcome(fields: dict[str, Any]) -> str:
    """Return what the database does with a locker that breaks a rule."""
    Locker._default_manager.bulk_create([row(1)])
    try:
        row(2, **fields).save()
    except (IntegrityError, DataError):
        return "refused"
    finally:
        Locker._default_manager.all().delete()
    return "**stored**"


@pytest.mark.services
def test_what_each_database_refuses(
    record: Recorder, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    cells: dict[str, list[str]] = {rule: [] for rule in BROKEN}
    for name in ("postgresql", "mariadb", "sqlite"):
        with django_db_blocker.unblock(), databases.use(name), made():
            warned = {warning.id for warning in Locker.check(databases=["default"]) if warning.id}
            for rule, fields in BROKEN.items():
                found = outcome(fields)
                missing = WARNED.get(rule) in warned
                assert not missing or found == "**stored**"
                cells[rule].append(f"{found}, {WARNED[rule].removeprefix('models.')}" if missing else found)
    lines = ["| A row breaks | PostgreSQL | MariaDB | SQLite |", "| --- | --- | --- | --- |"]
    lines += [f"| {rule} | {' | '.join(found)} |" for rule, found in cells.items()]
    record("constraints_databases.md", "\n".join(lines))
    assert all(found[0] == "refused" for found in cells.values())


@pytest.mark.databases("sqlite", "mariadb")
def test_an_exclusion_constraint_is_an_error_elsewhere(room: Room) -> None:
    needed = ["postgres.E005"] if django.VERSION >= (6, 1) else []  # django.contrib.postgres among the applications
    assert [problem.id for problem in Booking.check(databases=["default"])] == needed
    with pytest.raises((OperationalError, ProgrammingError), match="syntax"), connection.schema_editor() as editor:
        editor.create_model(Booking)


@pytest.mark.databases("mariadb")
def test_what_mariadb_did_not_create_is_validated_all_the_same(room: Room) -> None:
    row(1).save()
    with pytest.raises(ValidationError, match="one_locker_each"):
        row(2, learner="Learner 1").full_clean()
    row(2, learner="Learner 1").save()


@pytest.mark.databases("mariadb")
def test_who_is_warned(room: Room) -> None:
    assert Locker.check() == []
    warned = Locker.check(databases=["default"])
    assert sorted(str(warning.id) for warning in warned) == sorted(WARNED.values())
    assert {warning.level for warning in warned} == {WARNING}


@pytest.mark.databases("mariadb", "sqlite")
def test_what_is_not_created_refuses_nothing_at_all(room: Room) -> None:
    row(1, wing="east").save()
    row(2, wing="east", number=1).save()


@pytest.mark.databases("mariadb")
def test_mariadb_can_be_told_to_look_away(room: Room) -> None:
    run("SET check_constraint_checks = 0", "SET foreign_key_checks = 0")
    try:
        row(2, number=-1, room=Room(pk=999)).save()
    finally:
        run("SET check_constraint_checks = 1", "SET foreign_key_checks = 1")
    assert Locker._default_manager.filter(number=-1).exists()


def test_sqlite_checks_foreign_keys_for_django_alone() -> None:
    other = sqlite3.connect(":memory:")
    assert other.execute("PRAGMA foreign_keys").fetchone() == (0,)
    other.close()


@pytest.mark.django_db
def test_django_turns_the_checks_of_sqlite_on() -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA foreign_keys").fetchone() == (1,)


@pytest.mark.databases("postgresql", "mariadb")
def test_a_check_must_not_look_at_the_clock(room: Room, database: str) -> None:
    rule = "ALTER TABLE database_design_loosebooking ADD CONSTRAINT in_future CHECK (starts_at > {})"
    if database == "mariadb":
        with pytest.raises(OperationalError, match="cannot be used in the CHECK clause"):
            run(rule.format("now()"))
        return
    run(rule.format("clock_timestamp()"))
    run(
        "INSERT INTO database_design_loosebooking (room_id, starts_at, ends_at) "
        "SELECT id, clock_timestamp() + interval '0.3 s', now() FROM database_design_room",
        "SELECT pg_sleep(0.4)",
    )
    with pytest.raises(IntegrityError, match="in_future"):
        LooseBooking._default_manager.update(ends_at=at(12))


# When it is looked at


@pytest.mark.wrong("lab/database_design/constraints.py:wrong_insert_first")
@pytest.mark.databases
def test_positions_collide_on_their_way(academy: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        wrong_insert_first(Course.objects.get(slug="python"), "Before you start")
    short = Course.objects.get(slug="django")
    short.lessons.exclude(position=1).delete()
    wrong_insert_first(short, "Before you start")  # where nothing is in the way, nobody notices
    assert list(short.lessons.values_list("position", "title")) == [(1, "Before you start"), (2, "Django, part 1")]


@ON_POSTGRESQL
def test_positions_as_recorded(room: Room, academy: None, session: Session) -> None:
    session(
        "constraints_shift.pycon",
        wrong_insert_first=wrong_insert_first,
        course=Course.objects.get(slug="python"),
        Locker=Locker,
        row=row,
        F=F,
    )


@ON_POSTGRESQL
def test_a_deferred_error_comes_at_the_commit(room: Room) -> None:
    steps = []

    @transaction.atomic
    def store() -> None:
        row(1).save()
        row(2, place=1).save()
        steps.append("stored")

    with pytest.raises(IntegrityError):
        store()
    assert steps == ["stored"]


@ON_POSTGRESQL
def test_deferrable_and_immediate_looks_at_the_end_of_a_statement(db: None) -> None:
    run(
        "CREATE TABLE line (place integer UNIQUE DEFERRABLE INITIALLY IMMEDIATE)",
        "INSERT INTO line VALUES (1), (2), (3)",
        "UPDATE line SET place = place + 1",
    )
    with pytest.raises(IntegrityError):
        run("INSERT INTO line VALUES (2)")


@ON_POSTGRESQL
def test_a_null_wing_counts_once(room: Room) -> None:
    row(1).save()
    row(2, number=1, wing="east").save()
    with pytest.raises(IntegrityError, match="number_once"):
        row(3, number=1).save()


# The answer


@pytest.mark.databases
def test_who_comes_second_is_told_why(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    Room(code="B2").save()
    late = Room(code="B2")
    with pytest.raises(ValidationError, match="already exists"):
        save_or_explain(late)
    looks = []
    clean = Room.full_clean

    def blind(self: Room) -> None:  # the first look is a moment too early
        looks.append(1)
        if len(looks) > 1:
            clean(self)

    monkeypatch.setattr(Room, "full_clean", blind)
    with pytest.raises(ValidationError, match="Room with this Code already exists"):
        save_or_explain(late)
    assert len(looks) == 2


@pytest.mark.databases
def test_who_breaks_another_rule_gets_the_error(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Room, "full_clean", lambda _: None)
    with pytest.raises(IntegrityError):
        save_or_explain(Room(code="A1"))


@pytest.mark.databases
def test_who_names_the_constraint(room: Room, database: str) -> None:
    row(1).save()
    with pytest.raises(IntegrityError) as refused:
        row(2, number=-1).save()
    assert violated(refused.value) == ("number_from_1" if database == "postgresql" else None)
    assert "number_from_1" in str(refused.value)
    with pytest.raises(IntegrityError) as refused:
        Room._default_manager.create(code="A1")
    assert ("code" in str(refused.value)) is True


def post(view: Callable[..., HttpResponse], **data: object) -> HttpResponse:
    """Send a form to a view."""
    return view(RequestFactory().post("/", data))


@ON_POSTGRESQL
def test_the_view_as_recorded(room: Room, session: Session) -> None:
    session("constraints_view.pycon", room=room, book=book, post=post)


@ON_POSTGRESQL
def test_an_error_in_the_question_counts_as_a_violation(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValidationError) as refused:
        Booking(room=room, starts_at=at(12), ends_at=at(10)).validate_constraints()
    assert "The room is taken at that time." in refused.value.messages
    assert not Booking._default_manager.exists()
    assert "range lower bound must be less than or equal to range upper bound" in caplog.text


@ON_POSTGRESQL
def test_the_view_answers_in_a_race(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"room_id": room.pk, "starts_at": at(10).isoformat(), "ends_at": at(12).isoformat()}
    assert post(book, **data).status_code == 201
    looks = []
    clean = Booking.full_clean

    def blind(self: Booking) -> None:
        looks.append(1)
        if len(looks) > 1:
            clean(self)

    monkeypatch.setattr(Booking, "full_clean", blind)
    answer = post(book, **data)
    assert (answer.status_code, answer.content) == (409, b'{"errors": ["The room is taken at that time."]}')


@ON_POSTGRESQL
def test_the_code_of_a_violation(room: Room) -> None:
    Booking._default_manager.create(room=room, starts_at=at(10), ends_at=at(12))
    with pytest.raises(ValidationError) as refused:
        Booking(room=room, starts_at=at(11), ends_at=at(13)).validate_constraints()
    assert refused.value.error_dict["__all__"][0].code == "taken"
    Booking(room=room, starts_at=at(11), ends_at=at(13), cancelled=True).validate_constraints()
    Booking(room=room, starts_at=at(11), ends_at=at(13)).validate_constraints(exclude={"ends_at"})


# A table with bad rows


def migrate(operation: Operation) -> None:
    """Apply one operation of a migration to the sample models' tables."""
    state = ProjectState()
    for model in (Room, LooseBooking):
        state.add_model(ModelState.from_model(model))
    after = state.clone()
    with suppress(KeyError):  # what has been added before is not in this state
        operation.state_forwards("database_design", after)
    with connection.schema_editor() as editor:
        operation.database_forwards("database_design", editor, state, after)


@ON_POSTGRESQL
def test_a_rule_for_old_rows_as_recorded(room: Room, session: Session, record: Recorder) -> None:
    loose(room, 12, 10)
    loose(room, 14, 16)
    loose(room, 15, 17)
    names = {
        "AddConstraint": AddConstraint,
        "AddConstraintNotValid": AddConstraintNotValid,
        "ValidateConstraint": ValidateConstraint,
        "CheckConstraint": CheckConstraint,
        "LooseBooking": LooseBooking,
        "overlapping": overlapping,
        "other": Room._default_manager.create(code="B2"),
        "migrate": migrate,
        "F": F,
        "Q": Q,
    }
    session("constraints_add.pycon", **names)


@pytest.mark.databases
def test_how_to_find_what_breaks_a_rule(room: Room) -> None:
    backwards, first, second, after = loose(room, 12, 10), loose(room, 14, 16), loose(room, 15, 17), loose(room, 17, 18)
    assert set(overlapping()) == {first, second}
    assert LooseBooking._default_manager.get(ends_at__lte=F("starts_at")) == backwards
    assert after not in overlapping()


@pytest.mark.databases("mariadb", "sqlite")
def test_a_rule_that_rows_break_is_not_added(room: Room) -> None:
    loose(room, 12, 10)
    rule = CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="ends_after_start")
    with pytest.raises(IntegrityError):
        migrate(AddConstraint("loosebooking", rule))


@ON_POSTGRESQL
def test_exclude_finds_too_much_as_recorded(academy: None, session: Session) -> None:
    session("constraints_find.pycon", Enrollment=Enrollment, Q=Q)


# The price


RULES = {
    "no rule": "",
    "NOT NULL and CHECK": "ALTER TABLE price ALTER room_id SET NOT NULL, ADD CHECK (ends_at > starts_at)",
    "FOREIGN KEY": "ALTER TABLE price ADD FOREIGN KEY (room_id) REFERENCES price_room (id)",
    "UNIQUE": "ALTER TABLE price ADD UNIQUE (room_id, starts_at)",
    "EXCLUDE": "ALTER TABLE price ADD EXCLUDE USING gist (room_id WITH =, tstzrange(starts_at, ends_at) WITH &&)",
}
INSERT = (
    "INSERT INTO price SELECT 1 + n %% 100, '2026-01-05'::timestamptz + n / 100 * interval '1 hour', "
    "'2026-01-05'::timestamptz + (n / 100 + 1) * interval '1 hour' FROM generate_series(0, %s) n"
)


@cache
def price(rows: int, times: int) -> dict[str, float]:
    """Return the milliseconds of one INSERT of so many rows under each rule, the median; the rules take turns."""
    took: dict[str, list[float]] = {name: [] for name in RULES}
    run(
        "CREATE EXTENSION IF NOT EXISTS btree_gist",
        "CREATE TABLE price_room (id bigint PRIMARY KEY)",
        "INSERT INTO price_room SELECT generate_series(1, 100)",
    )
    for turn in range(times + 1):
        for name, rule in RULES.items():
            run(
                "CREATE TABLE price (room_id bigint, starts_at timestamptz, ends_at timestamptz)", *filter(None, [rule])
            )
            with connection.cursor() as cursor:
                start = time.perf_counter()
                cursor.execute(INSERT, [rows - 1])
            if turn:  # the first is to warm up
                took[name].append(1000 * (time.perf_counter() - start))
            run("DROP TABLE price")
    run("DROP TABLE price_room")
    return {name: round(median(values), 1) for name, values in took.items()}


def measure_price() -> Measurement:
    """Return what each rule costs an INSERT of 50,000 rows."""
    server, release = versions.server().split()
    return Measurement(
        title="What a rule costs an INSERT",
        description="NOT NULL and CHECK cost least, a unique index and a foreign key more, an exclusion the most.",
        x="rule on the table",
        y="time for 50,000 rows (ms)",
        versions={server: release},
        bars=price(50_000, 5),
    )


@pytest.mark.measures("constraints")
@pytest.mark.django_db(transaction=True)
@ON_POSTGRESQL
def test_the_price_of_a_rule(measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    bars = measured("constraints.json", measure_price).bars
    assert bars["NOT NULL and CHECK"] < bars["UNIQUE"]
    assert bars["FOREIGN KEY"] > 2 * bars["no rule"]
    assert bars["EXCLUDE"] > 5 * bars["UNIQUE"]
    assert bars["EXCLUDE"] == max(bars.values())
    small = price(2_000, 3)
    assert small["EXCLUDE"] > 3 * small["no rule"]


@ON_POSTGRESQL
def test_the_statements_behind_the_rules(room: Room, record: Recorder) -> None:
    editor = connection.schema_editor()
    shown = [str(rule.create_sql(Locker, editor)) for rule in Locker._meta.constraints]
    shown.append(str(Booking._meta.constraints[1].create_sql(Booking, editor)))
    shown = [re.sub(r" (?=ADD |EXCLUDE |WHERE )", "\n    ", statement.replace('"', "")) for statement in shown]
    record("constraints_rules.sql", "\n\n".join(f"{statement};" for statement in shown))
