"""What each ``on_delete`` does on each database, who does it, what it costs, and what a mark in its place breaks."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest import mock

import django
import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import (
    CASCADE,
    DO_NOTHING,
    PROTECT,
    RESTRICT,
    SET,
    SET_DEFAULT,
    SET_NULL,
    Count,
    ProtectedError,
    RestrictedError,
)
from django.db.models.signals import post_delete
from django.test.utils import isolate_apps
from django.utils import timezone

from lab.academy.models import Course, Lesson
from lab.database_design.deletion import delete_in_batches
from tests.lab.database_design.two import people
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Session = Callable[..., None]

with isolate_apps("lab.database_design"):  # these models are known to nobody else, and have no tables
    from lab.database_design.deletion_samples import (
        Account,
        FormerMember,
        Loan,
        Member,
        archive,
        house_models,
        room_model,
        slot_model,
    )

ON_POSTGRESQL = pytest.mark.databases("postgresql")
TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
NEXT = pytest.mark.skipif(django.VERSION < (6, 1), reason="shows what Django 6.1 brings: make next")


def run(*statements: str) -> None:
    """Send statements that find nothing."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def sent(statement: str) -> list[str]:
    """Send a statement; return it in a list if it was not refused."""
    run(statement)
    return [statement]


@contextmanager
def made(*tables: type[models.Model]) -> Iterator[None]:
    """The tables of models, which are dropped in the end."""
    with connection.schema_editor() as editor:
        for model in tables:
            editor.create_model(model)
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(tables):
                editor.delete_model(model)


@contextmanager
def rooms(on_delete: Any, **options: Any) -> Iterator[tuple[Any, Any]]:
    """Rooms and their slots with one behavior, and their tables."""
    with isolate_apps("lab.database_design"):
        room, slot = room_model(), slot_model(on_delete, **options)
    with made(room, slot):
        yield room, slot


def verbs(statements: list[str]) -> list[str]:
    """Return the first words of statements, without transaction control."""
    found = [text.split()[0] for text in statements]
    return [verb for verb in found if verb in {"SELECT", "INSERT", "UPDATE", "DELETE"}]


# Eight behaviors

BEHAVIORS: dict[str, tuple[Any, dict[str, Any]]] = {
    "CASCADE": (CASCADE, {}),
    "PROTECT": (PROTECT, {}),
    "RESTRICT": (RESTRICT, {}),
    "SET_NULL": (SET_NULL, {}),
    "SET_DEFAULT": (SET_DEFAULT, {"default": 2}),
    "SET(2)": (SET(2), {}),
    "SET(other_room)": (SET(lambda: 2), {}),
    "DO_NOTHING": (DO_NOTHING, {}),
}
STATEMENTS = {
    "CASCADE": ["DELETE", "DELETE"],
    "PROTECT": ["SELECT"],
    "RESTRICT": ["SELECT"],
    "SET_NULL": ["UPDATE", "DELETE"],
    "SET_DEFAULT": ["SELECT", "UPDATE", "DELETE"],
    "SET(2)": ["UPDATE", "DELETE"],
    "SET(other_room)": ["SELECT", "UPDATE", "DELETE"],
    "DO_NOTHING": ["DELETE"],
}
OUTCOMES = {
    "CASCADE": "they go too",
    "PROTECT": "`ProtectedError`, all stays",
    "RESTRICT": "`RestrictedError`, all stays",
    "SET_NULL": "they stay, without a room",
    "SET_DEFAULT": "they move to room 2",
    "SET(2)": "they move to room 2",
    "SET(other_room)": "they move to room 2",
    "DO_NOTHING": "`IntegrityError`, all stays",
}


def happens(room: Any, slot: Any) -> tuple[str, list[str]]:
    """Delete room 1 of 2, in which two slots are; return what came of them, and the statements sent."""
    first = room._default_manager.create(pk=1, name="A")
    room._default_manager.create(pk=2, name="B")
    for day in ("Monday", "Friday"):
        slot._default_manager.create(day=day, room=first)
    outcome = ""
    with queries() as sent:
        try:
            first.delete()
        except IntegrityError as error:
            outcome = f"`{type(error).__name__}`, all stays"
    found = sorted(slot._default_manager.values_list("room", flat=True), key=str)
    if outcome:
        assert found == [1, 1]
        assert room._default_manager.count() == 2
        return outcome, verbs(sent.statements)
    assert room._default_manager.count() == 1
    words = {(): "they go too", (None, None): "they stay, without a room", (2, 2): "they move to room 2"}
    return words[tuple(found)], verbs(sent.statements)


@TOGETHER
@pytest.mark.databases
def test_the_behaviors(database: str, record: Recorder) -> None:
    lines = ["| `on_delete` | The two slots | Statements |", "| --- | --- | --- |"]
    for name, (on_delete, options) in BEHAVIORS.items():
        with rooms(on_delete, **options) as (room, slot):
            outcome, sent = happens(room, slot)
        assert outcome == OUTCOMES[name], name
        if (name, database) != ("DO_NOTHING", "mariadb"):  # refused at once; PostgreSQL and SQLite at the commit
            assert sent == STATEMENTS[name], name
        lines.append(f"| `{name}` | {outcome} | {', '.join(f'`{verb}`' for verb in sent)} |")
    if database == "postgresql":
        record("deletion_behaviors.md", "\n".join(lines))


@TOGETHER
@pytest.mark.databases
def test_a_default_must_exist(database: str) -> None:
    with rooms(SET_DEFAULT, default=7) as (room, slot):
        first = room._default_manager.create(name="A")
        slot._default_manager.create(day="Monday", room=first)
        with pytest.raises(IntegrityError):
            first.delete()
        assert slot._default_manager.get().room_id == first.pk


@TOGETHER
@pytest.mark.databases
def test_the_database_knows_a_bare_foreign_key(database: str) -> None:
    for on_delete in (CASCADE, SET_NULL, DO_NOTHING):
        with rooms(on_delete) as (room, slot):
            slot._default_manager.create(day="Monday", room=room._default_manager.create(name="A"))
            accepted: list[str] = []
            with pytest.raises(IntegrityError), transaction.atomic():
                accepted += sent("DELETE FROM database_design_room")
            assert bool(accepted) == (database != "mariadb")
            assert slot._default_manager.exists()


@TOGETHER
@pytest.mark.databases
def test_another_on_delete_changes_no_table(database: str) -> None:
    with isolate_apps("lab.database_design"):
        room_model()
        old: Any = slot_model(CASCADE)._meta.get_field("room")
    with isolate_apps("lab.database_design"):
        room_model()
        slot = slot_model(PROTECT)
    new: Any = slot._meta.get_field("room")
    with connection.schema_editor(collect_sql=True) as editor:
        editor.alter_field(slot, old, new)
    assert editor.collected_sql == []


@ON_POSTGRESQL
@TOGETHER
def test_sql_as_recorded(session: Session) -> None:
    with rooms(CASCADE) as (room, slot):
        slot._default_manager.create(day="Monday", room=room._default_manager.create(name="A"))
        session("deletion_sql.pycon", Room=room, Slot=slot, connection=connection)


# PROTECT or RESTRICT


@contextmanager
def house(on_delete: Any) -> Iterator[tuple[Any, Any]]:
    """A house with a hall that is booked; yields both."""
    with isolate_apps("lab.database_design"):
        kinds = house_models(on_delete)
    with made(*kinds):
        houses, halls, bookings = (model._default_manager for model in kinds)
        one = houses.create(name="Annex")
        hall = halls.create(house=one)
        bookings.create(house=one, hall=hall)
        yield one, hall


@TOGETHER
@pytest.mark.databases
def test_restrict_lets_go_what_goes_anyway(database: str) -> None:
    with house(PROTECT) as (one, hall):
        with pytest.raises(ProtectedError):
            hall.delete()
        with pytest.raises(ProtectedError):
            one.delete()
    with house(RESTRICT) as (one, hall):
        with pytest.raises(RestrictedError):
            hall.delete()
        assert one.delete()[0] == 3


@ON_POSTGRESQL
@TOGETHER
def test_restrict_as_recorded(session: Session, record: Recorder) -> None:
    with house(PROTECT) as (one, hall):
        session("deletion_protect.pycon", house=one, hall=hall)
    with house(RESTRICT) as (one, hall):
        session("deletion_restrict.pycon", house=one, hall=hall)


# What a cascade costs


def fill(room: Any, slots: int) -> Any:
    """Store a room with many slots; return it."""
    one = room._default_manager.create(name="A")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO database_design_slot (day, room_id) SELECT 'day', %s FROM generate_series(1, %s)",
            [one.pk, slots],
        )
    return one


def hear(**_: Any) -> None:
    """Receive a signal, and do nothing."""


@contextmanager
def heard(slot: Any) -> Iterator[None]:
    """Let somebody listen to the deletion of slots."""
    post_delete.connect(hear, sender=slot)
    try:
        yield
    finally:
        post_delete.disconnect(hear, sender=slot)


@contextmanager
def cascades_itself() -> Iterator[tuple[Any, Any]]:
    """Rooms and slots whose foreign key has ON DELETE CASCADE, which Django does not know."""
    with rooms(DO_NOTHING, db_constraint=False) as (room, slot):
        run(
            "ALTER TABLE database_design_slot ADD CONSTRAINT slot_room"
            " FOREIGN KEY (room_id) REFERENCES database_design_room (id) ON DELETE CASCADE"
        )
        yield room, slot


def plain(room: Any, slot: Any) -> None:
    """Delete a room."""
    room.delete()


def listening(room: Any, slot: Any) -> None:
    """Delete a room while somebody listens."""
    with heard(slot):
        room.delete()


def raw(room: Any, slot: Any) -> None:
    """Delete the slots by Django's private method, then the room."""
    slots = slot._default_manager.filter(room=room)
    slots._raw_delete(slots.db)
    room.delete()


def ways() -> dict[str, tuple[Callable[[], Any], Callable[[Any, Any], None]]]:
    """Return how to make the tables and how to delete, for each way."""
    return {
        "CASCADE": (lambda: rooms(CASCADE), plain),
        "CASCADE, a receiver": (lambda: rooms(CASCADE), listening),
        "_raw_delete, then CASCADE": (lambda: rooms(CASCADE), raw),
        "ON DELETE CASCADE": (cascades_itself, plain),
    }


@cache
def cost(slots: int, times: int) -> dict[str, tuple[float, list[str], int]]:
    """Delete a room with many slots in each way, in turns.

    Returns the milliseconds of each; its statements and its signals for a room with 1,000.
    """
    took: dict[str, list[float]] = {name: [] for name in ways()}
    sent_for: dict[str, tuple[list[str], int]] = {}
    for _ in range(times):
        for name, (tables, delete) in ways().items():
            with tables() as (room, slot):
                one = fill(room, slots)
                run("ANALYZE database_design_slot")
                start = time.perf_counter()
                delete(one, slot)
                took[name].append(1000 * (time.perf_counter() - start))
                assert not slot._default_manager.exists()
                assert not room._default_manager.exists()
                if name not in sent_for:
                    two = fill(room, 1000)
                    with queries() as sent, mock.patch.object(post_delete, "send", wraps=post_delete.send) as send:
                        delete(two, slot)
                    signals = sum(call.kwargs["sender"] is slot for call in send.call_args_list)
                    sent_for[name] = verbs(sent.statements), signals
    return {name: (median(times), *sent_for[name]) for name, times in took.items()}


def measure() -> Measurement:
    """Return how long it takes to delete a room with 50,000 slots."""
    server, release = versions.server().split()
    return Measurement(
        title="Deleting a room with 50,000 slots",
        description="With a receiver of a signal it takes far longer than in the other three ways.",
        x="who deletes the slots",
        y="time (ms)",
        versions={server: release, "Django": django.__version__},
        bars={name: round(took, 1) for name, (took, *_) in cost(50_000, 5).items()},
    )


@pytest.mark.measures("deletion")
@TOGETHER
@ON_POSTGRESQL
def test_what_a_cascade_costs(
    database: str, measured: Callable[[str, Callable[[], Measurement]], Measurement], record: Recorder
) -> None:
    bars = measured("deletion.json", measure).bars
    alone, heard_, raw_, server = bars.values()
    assert heard_ > 10 * max(alone, raw_, server)
    assert max(alone, raw_, server) < 2 * min(alone, raw_, server)
    found = cost(1000, 1)
    counts = {name: (sent.count("SELECT"), sent.count("DELETE"), heard) for name, (_, sent, heard) in found.items()}
    assert counts["CASCADE"] == (0, 2, 0)
    assert counts["CASCADE, a receiver"] == (1, 11, 1000)
    assert counts["_raw_delete, then CASCADE"] == (0, 3, 0)
    assert counts["ON DELETE CASCADE"] == (0, 1, 0)
    lines = ["| A room with 1,000 slots | `SELECT` | `DELETE` | Signals for slots |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| `{name}` | {selects} | {deletes} | {signals:,} |" for name, (selects, deletes, signals) in counts.items()
    ]
    record("deletion_queries.md", "\n".join(lines))


@ON_POSTGRESQL
@TOGETHER
def test_a_cascade_as_recorded(record: Recorder) -> None:
    with rooms(CASCADE) as (room, slot):
        one = fill(room, 2)
        with queries() as alone:
            one.delete()
        one = fill(room, 2)
        with heard(slot), queries() as listened:
            one.delete()
    record("deletion_alone.sql", alone.text)
    record("deletion_heard.sql", listened.text)


@TOGETHER
@pytest.mark.databases
def test_who_gets_a_signal(database: str) -> None:
    with rooms(CASCADE) as (room, slot):
        gone = []

        def note(instance: models.Model, **_: Any) -> None:
            gone.append(instance)

        post_delete.connect(note, sender=slot)
        try:
            one = room._default_manager.create(name="A")
            for day in ("Monday", "Friday"):
                slot._default_manager.create(day=day, room=one)
            slots = slot._default_manager.filter(day="Monday")
            assert slots._raw_delete(slots.db) == 1
            assert gone == []
            one.delete()
            assert len(gone) == 1
        finally:
            post_delete.disconnect(note, sender=slot)


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_the_server_cascades_without_a_word(database: str) -> None:
    with cascades_itself() as (room, slot):
        one = room._default_manager.create(name="A")
        slot._default_manager.create(day="Monday", room=one)
        with heard(slot), queries() as sent:
            assert one.delete()[0] == 1
        assert verbs(sent.statements) == ["DELETE"]
        assert not slot._default_manager.exists()
        slot._default_manager.create(day="Monday", room=room._default_manager.create(name="B"))
        run("DELETE FROM database_design_room")
        assert not slot._default_manager.exists()


@NEXT
@TOGETHER
@pytest.mark.databases
def test_what_django_6_1_leaves_to_the_database(database: str) -> None:
    outcomes = {"DB_CASCADE": "they go too", "DB_SET_NULL": "they stay, without a room"}
    for name, outcome in outcomes.items():
        with rooms(getattr(models, name)) as (room, slot):
            assert happens(room, slot) == (outcome, ["DELETE"])
            run("DELETE FROM database_design_slot", "DELETE FROM database_design_room")
            slot._default_manager.create(day="Monday", room=room._default_manager.create(name="C"))
            run("DELETE FROM database_design_room")
            assert slot._default_manager.count() == (name == "DB_SET_NULL")


@NEXT
@TOGETHER
@pytest.mark.databases
def test_who_sets_a_default(database: str) -> None:
    kept = {"db_default": 2}
    if database == "mariadb":
        with isolate_apps("lab.database_design"):
            room_model()
            slot = slot_model(getattr(models, "DB_SET_DEFAULT"), **kept)  # noqa: B009
        assert "fields.E324" in {error.id for error in slot.check(databases=["default"])}
        return
    with rooms(getattr(models, "DB_SET_DEFAULT"), **kept) as (room, slot):  # noqa: B009
        assert happens(room, slot) == ("they move to room 2", ["DELETE"])


@NEXT
def test_django_6_1_refuses_to_mix_the_kinds_in_a_chain() -> None:
    with isolate_apps("lab.database_design"):
        room_model()
        slot = slot_model(getattr(models, "DB_CASCADE"))  # noqa: B009

        class Lamp(models.Model):
            slot = models.ForeignKey("Slot", PROTECT)

            class Meta:
                app_label = "database_design"

        class Fan(models.Model):
            room = models.ForeignKey("Room", getattr(models, "DB_CASCADE"))  # noqa: B009
            house = models.ForeignKey("Room", PROTECT, related_name="+")

            class Meta:
                app_label = "database_design"

        assert slot.check() == []
        assert [error.id for error in Fan.check()] == ["models.E050"]
        assert [error.id for error in Fan.check()] == ["models.E050"]
        assert [error.id for error in Lamp.check()] == ["fields.E323"]


# A mark in place of a deletion


@pytest.fixture
def members(database: str, transactional_db: None) -> Iterator[None]:
    """The tables of members."""
    with made(Member, Loan, Account, FormerMember):
        yield


@pytest.mark.wrong("lab/database_design/deletion_samples.py:wrong_soft")
@pytest.mark.databases
def test_what_a_mark_breaks(members: None) -> None:
    ama = Member.objects.create(email="ama@example.com")
    Loan._default_manager.create(member=ama, book="Querying")
    ama.delete()
    assert Member.objects.count() == 0
    with pytest.raises(IntegrityError), transaction.atomic():
        Member.objects.create(email="ama@example.com")
    assert Loan._default_manager.count() == 1
    assert Loan._default_manager.get().member == ama  # the way forward asks the base manager
    assert Loan._default_manager.values("member__email").aggregate(found=Count("member"))["found"] == 1
    assert Loan._default_manager.filter(member__email="ama@example.com").exists()
    kofi = Member.objects.create(email="kofi@example.com")
    Member.objects.filter(pk=kofi.pk).delete()
    assert not Member.everybody.filter(pk=kofi.pk).exists()


@ON_POSTGRESQL
def test_a_mark_as_recorded(members: None, session: Session) -> None:
    session("deletion_soft.pycon", Member=Member, Loan=Loan)


@pytest.mark.databases
def test_an_address_of_the_living_is_unique(members: None, database: str) -> None:
    accounts = Account._default_manager
    accounts.create(email="ama@example.com", deleted_at=timezone.now())
    accounts.create(email="ama@example.com")
    if database == "mariadb":
        accounts.create(email="ama@example.com")  # there the constraint is not created: W036
        assert [warning.id for warning in Account.check(databases=["default"])] == ["models.W036"]
        return
    with pytest.raises(IntegrityError), transaction.atomic():
        accounts.create(email="ama@example.com")


@pytest.mark.databases
def test_an_archive(members: None) -> None:
    ama = Member.objects.create(email="ama@example.com")
    Loan._default_manager.create(member=ama, book="Querying")
    archive(ama)
    assert Member.everybody.count() == Loan._default_manager.count() == 0
    former = FormerMember._default_manager.get()
    assert former.number == ama.pk
    assert former.kept == {"email": "ama@example.com", "loans": [{"book": "Querying"}]}
    Member.objects.create(email="ama@example.com")


@pytest.mark.databases("postgresql", "mariadb")
def test_an_archive_keeps_out_a_loan_that_comes_meanwhile(members: None) -> None:
    ama = Member.objects.create(email="ama@example.com")
    seen: list[str] = []
    with people("Kofi") as (kofi,):

        def meanwhile(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            if sql.startswith("DELETE") and not seen:  # the loans have been read
                seen.append("a first DELETE")
                kofi.start(lambda: Loan._default_manager.create(member_id=ama.pk, book="Querying"))
                assert kofi.waiting
            return execute(sql, *rest)

        with connection.execute_wrapper(meanwhile):
            archive(ama)
        assert seen
        assert not kofi.waiting
        assert kofi.step
        assert isinstance(kofi.step.exception(), IntegrityError)
    assert not Loan._default_manager.exists()


@ON_POSTGRESQL
def test_an_archive_as_recorded(members: None, session: Session) -> None:
    ama = Member.objects.create(email="ama@example.com")
    Loan._default_manager.create(member=ama, book="Querying")
    session("deletion_archive.pycon", ama=ama, archive=archive, FormerMember=FormerMember, Loan=Loan)


# Many rows


@TOGETHER
@pytest.mark.databases
def test_batches(academy: None) -> None:
    course = Course.objects.get(slug="caching")
    total = Lesson.objects.count()
    course.lessons.all().delete()
    Lesson.objects.bulk_create(Lesson(course=course, position=n, title="part") for n in range(25))
    others = Lesson.objects.exclude(course=course).count()
    assert others < total
    with queries() as sent:
        assert delete_in_batches(course.lessons.all(), size=10) == 25
    assert verbs(sent.statements).count("DELETE") == 3
    assert Lesson.objects.count() == others


@pytest.mark.databases
def test_batches_of_hidden_rows(members: None) -> None:
    for name in ("ama", "kofi", "esi"):
        Member.objects.create(email=f"{name}@example.com").delete()
    assert delete_in_batches(Member.everybody.exclude(deleted_at=None), size=2) == 3
    assert not Member.everybody.exists()


@pytest.mark.databases
def test_a_slice_cannot_be_deleted(academy: None) -> None:
    with pytest.raises(TypeError, match="limit"):
        Lesson.objects.all()[:10].delete()
