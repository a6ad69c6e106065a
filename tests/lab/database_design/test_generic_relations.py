"""A relation to anything, and what the database cannot hold of it; three designs that it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.fields import GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldError
from django.db import DataError, IntegrityError, NotSupportedError, OperationalError, connection, models, transaction
from django.db.models import ProtectedError, Q
from django.test.utils import isolate_apps

from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.recording.files import Recorder

    Session = Callable[..., None]

registry: Any
with isolate_apps("lab.database_design") as registry:  # these models are known to nobody else, and have no tables
    registry.register_model("contenttypes", ContentType)
    from lab.database_design.generic_relations_samples import (
        AnyFault,
        Asset,
        AssetFault,
        Fault,
        Laptop,
        OwnedProjector,
        OwnedRoom,
        Projector,
        ProjectorFault,
        Room,
        RoomFault,
        all_faults,
    )

    class WatchedRoom(models.Model):
        """A room with the way back to its faults."""

        name = models.CharField(max_length=40)
        faults = GenericRelation(AnyFault, on_delete=models.PROTECT)  # which is ignored

        class Meta:  # noqa: D106
            app_label = "database_design"

    class LooseFault(models.Model):
        """A fault that may lose its subject, and a check that it has one."""

        room = models.ForeignKey(Room, models.SET_NULL, null=True)
        projector = models.ForeignKey(Projector, models.SET_NULL, null=True)

        class Meta:  # noqa: D106
            app_label = "database_design"
            constraints = [  # noqa: RUF012
                models.CheckConstraint(
                    condition=Q(room=None, projector__isnull=False) | Q(room__isnull=False, projector=None),
                    name="loose_fault_has_one_subject",
                )
            ]


ON_POSTGRESQL = pytest.mark.databases("postgresql")
REFUSED = (IntegrityError, OperationalError)
MADE: list[type[models.Model]] = [
    Room,
    Projector,
    Laptop,
    WatchedRoom,
    AnyFault,
    Fault,
    LooseFault,
    Asset,
    OwnedRoom,
    OwnedProjector,
    AssetFault,
    RoomFault,
    ProjectorFault,
]


@pytest.fixture
def tables(database: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tables of the sample models; content types find the models."""
    monkeypatch.setattr("django.contrib.contenttypes.models.apps", registry)
    ContentType.objects.clear_cache()
    with connection.schema_editor() as editor:
        for model in MADE:
            editor.create_model(model)
    yield
    ContentType.objects.clear_cache()
    with connection.schema_editor() as editor:
        for model in reversed(MADE):
            editor.delete_model(model)


@pytest.fixture
def things(tables: None) -> dict[str, Any]:
    """A room and a projector, each with the key 1."""
    return {
        "hall": Room._default_manager.create(name="Hall"),
        "beamer": Projector._default_manager.create(name="Beamer"),
        "laptop": Laptop._default_manager.create(name="Laptop"),
    }


# What is not there


@pytest.mark.wrong("lab/database_design/generic_relations_samples.py:wrong_generic")
@pytest.mark.databases
def test_nothing_holds_a_generic_relation(things: dict[str, Any]) -> None:
    hall, faults = things["hall"], AnyFault._default_manager
    assert hall.pk == things["beamer"].pk == 1
    fault = faults.create(text="no light", subject=hall)
    assert faults.get().subject == hall
    faults.create(text="never was", content_type=fault.content_type, object_id=999)
    hall.delete()
    connection.check_constraints()
    assert faults.count() == 2
    assert {found.subject for found in faults.all()} == {None}
    with connection.cursor() as cursor:
        rules = connection.introspection.get_constraints(cursor, AnyFault._meta.db_table).values()
    assert [rule["columns"] for rule in rules if rule["foreign_key"]] == [["content_type_id"]]


@ON_POSTGRESQL
def test_an_orphan_as_recorded(things: dict[str, Any], session: Session) -> None:
    session("generic_relations_orphan.pycon", **things, AnyFault=AnyFault, Room=Room)


@ON_POSTGRESQL
def test_what_cannot_be_asked_as_recorded(things: dict[str, Any], session: Session) -> None:
    AnyFault._default_manager.create(text="no light", subject=things["hall"])
    session("generic_relations_ask.pycon", **things, AnyFault=AnyFault, ContentType=ContentType)


@pytest.mark.databases
def test_what_cannot_be_asked(things: dict[str, Any]) -> None:
    faults = AnyFault._default_manager
    fault = faults.create(text="no light", subject=things["hall"])
    with pytest.raises(FieldError):
        faults.filter(subject=things["hall"])
    with pytest.raises(FieldError):
        list(faults.select_related("subject"))
    with pytest.raises(FieldError):
        list(faults.filter(subject__name="Hall"))
    kind = ContentType.objects.get_for_model(things["hall"])
    assert list(faults.filter(content_type=kind, object_id=things["hall"].pk)) == [fault]


@pytest.mark.databases
def test_a_new_row_inherits_by_its_number(things: dict[str, Any]) -> None:
    hall = things["hall"]
    fault = AnyFault._default_manager.create(text="no light", subject=hall)
    hall.delete()
    lab = Room._default_manager.create(pk=1, name="Lab")  # from an import, or after the counter was reset
    assert AnyFault._default_manager.get(pk=fault.pk).subject == lab


@pytest.mark.databases
def test_a_key_of_another_type(things: dict[str, Any], database: str) -> None:
    refused = OverflowError if database == "sqlite" else DataError
    with pytest.raises(refused), transaction.atomic():
        AnyFault._default_manager.create(text="slow", subject=things["laptop"])


@pytest.mark.databases
def test_the_way_back_always_cascades(things: dict[str, Any]) -> None:
    room = WatchedRoom._default_manager.create(name="Lab")
    room.faults.create(text="no light")
    assert WatchedRoom._default_manager.filter(faults__text="no light").exists()
    room.delete()
    assert AnyFault._default_manager.count() == 0
    again = WatchedRoom._default_manager.create(name="Lab")
    again.faults.create(text="no light")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM database_design_watchedroom")
    assert AnyFault._default_manager.count() == 1


# Three designs that the database holds


def subjects(count: int = 10) -> list[Room | Projector]:
    """Return as many rooms as projectors, all new."""
    return [
        model._default_manager.create(name=f"{model.__name__} {n}") for n in range(count) for model in (Room, Projector)
    ]


def fill() -> None:
    """Store twenty faults in each of the four designs."""
    for thing in subjects():
        AnyFault._default_manager.create(text="broken", subject=thing)
        is_room = isinstance(thing, Room)
        Fault._default_manager.create(text="broken", **{"room" if is_room else "projector": thing})
        (RoomFault if is_room else ProjectorFault)._default_manager.create(text="broken", subject=thing)
        asset: Asset = (
            OwnedRoom._default_manager.create(name=thing.name, seats=9)
            if is_room
            else OwnedProjector._default_manager.create(name=thing.name, lumens=9)
        )
        AssetFault._default_manager.create(text="broken", subject=asset)


def every(model: type[models.Model]) -> Any:
    """Return all rows of a model, whatever its type."""
    return model._default_manager.all()


LISTS: dict[str, Callable[[], list[Any]]] = {
    "generic": lambda: [fault.subject.name for fault in every(AnyFault)],
    "generic, `prefetch_related`": lambda: [
        fault.subject.name for fault in every(AnyFault).prefetch_related("subject")
    ],
    "a column for each kind": lambda: [
        fault.subject.name for fault in every(Fault).select_related("room", "projector")
    ],
    "a shared parent": lambda: [fault.subject.name for fault in every(AssetFault).select_related("subject")],
    "a table for each kind": lambda: [fault["name"] for fault in all_faults()],
}
ORPHANS: dict[str, Callable[[], Any]] = {
    "generic": lambda: AnyFault._default_manager.create(
        text="broken", content_type=ContentType.objects.get_for_model(Room), object_id=999
    ),
    "a column for each kind": lambda: Fault._default_manager.create(text="broken", room_id=999),
    "a shared parent": lambda: AssetFault._default_manager.create(text="broken", subject_id=999),
    "a table for each kind": lambda: RoomFault._default_manager.create(text="broken", subject_id=999),
}
KINDS = {
    "generic": "nothing",
    "a column for each kind": "a column, a new `CHECK`",
    "a shared parent": "its key from `Asset`",
    "a table for each kind": "a table, a part in each list",
}


@pytest.mark.databases
def test_the_designs_side_by_side(things: dict[str, Any], database: str, record: Recorder) -> None:
    fill()
    lines = [
        "| Design | A fault of room 999 | Queries for 20 faults with names | A third kind needs, beside its table |",
        "| --- | --- | ---: | --- |",
    ]
    names, counts = [], {}
    for design, ask in LISTS.items():
        ContentType.objects.clear_cache()
        with queries() as sent:
            names.append(sorted(ask()))
        counts[design] = len(sent.statements)
        kind = design.split(",")[0]
        try:
            with transaction.atomic():
                ORPHANS[kind]()
                connection.check_constraints()
                transaction.set_rollback(True)
            stored = "stored"
        except REFUSED:
            stored = "refused"
        lines.append(f"| {design} | {stored} | {counts[design]} | {KINDS[kind]} |")
    assert all(found == names[0] for found in names)
    assert counts == dict(zip(LISTS, [23, 5, 1, 1, 1], strict=True))
    if database == "postgresql":
        record("generic_relations_designs.md", "\n".join(lines))
    else:
        assert [line.split(" | ")[1] for line in lines[2:]] == ["stored"] * 2 + ["refused"] * 3


@pytest.mark.databases
def test_exactly_one(things: dict[str, Any]) -> None:
    hall, beamer = things["hall"], things["beamer"]
    faults = Fault._default_manager
    for subjects in ({}, {"room": hall, "projector": beamer}):
        with pytest.raises(REFUSED), transaction.atomic():
            faults.create(text="broken", **subjects)
    in_room = faults.create(text="no light", room=hall)
    on_projector = faults.create(text="no lamp", projector=beamer)
    assert in_room.subject == hall
    assert on_projector.subject == beamer
    with pytest.raises(ProtectedError):
        beamer.delete()
    hall.delete()
    assert list(faults.all()) == [on_projector]


@pytest.mark.databases
def test_set_null_does_not_go_with_the_check(things: dict[str, Any]) -> None:
    LooseFault._default_manager.create(room=things["hall"])
    with pytest.raises(REFUSED), transaction.atomic():
        things["hall"].delete()
    assert Room._default_manager.filter(name="Hall").exists()


@pytest.mark.databases
def test_who_notices_a_delete_in_sql(things: dict[str, Any]) -> None:
    fill()
    for statement, refused in (
        ("DELETE FROM database_design_room", True),
        ("DELETE FROM database_design_projector", True),
        ("DELETE FROM database_design_asset", True),
        ("DELETE FROM database_design_watchedroom", False),
    ):
        WatchedRoom._default_manager.create(name="Lab").faults.create(text="no light")
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement)
                connection.check_constraints()
        except REFUSED:
            assert refused
        else:
            assert not refused


@pytest.mark.databases
def test_the_row_of_a_child_is_not_guarded(things: dict[str, Any]) -> None:
    fill()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM database_design_ownedroom")
    connection.check_constraints()
    assert AssetFault._default_manager.count() == Asset._default_manager.count() == 20


@pytest.mark.databases
def test_a_union_takes_no_filter(things: dict[str, Any]) -> None:
    with pytest.raises(NotSupportedError):
        all_faults().filter(text="broken")


@ON_POSTGRESQL
def test_exactly_one_as_recorded(things: dict[str, Any], session: Session) -> None:
    session("generic_relations_one.pycon", **things, Fault=Fault)


@pytest.mark.databases
def test_a_parent_row_has_one_child_by_habit_alone(things: dict[str, Any]) -> None:
    room = OwnedRoom._default_manager.create(name="Lab", seats=20)
    with queries() as sent:
        OwnedRoom._default_manager.create(name="Hall", seats=90)
    assert [text.split()[0] for text in sent.statements if not text.startswith(("BEGIN", "COMMIT", "SAVE", "REL"))] == [
        "INSERT",
        "INSERT",
    ]
    with queries() as sent:
        OwnedRoom._default_manager.get(pk=room.pk)
    assert "INNER JOIN" in sent.statements[0]
    OwnedProjector(asset_ptr_id=room.pk, lumens=900).save_base(raw=True)  # the same asset is both
    assert Asset._default_manager.filter(ownedroom__isnull=False, ownedprojector__isnull=False).count() == 1


# Where it is right


def test_the_admin_keeps_a_log_that_points_anywhere() -> None:
    assert LogEntry._meta.get_field("content_type").related_model is ContentType
    assert isinstance(LogEntry._meta.get_field("object_id"), models.TextField)
    assert isinstance(LogEntry._meta.get_field("object_repr"), models.CharField)


@pytest.mark.databases
def test_orphans_can_be_counted(things: dict[str, Any]) -> None:
    hall = things["hall"]
    AnyFault._default_manager.create(text="no light", subject=hall)
    AnyFault._default_manager.create(text="no lamp", subject=things["beamer"])
    hall.delete()
    kind = ContentType.objects.get_for_model(Room)
    orphans = AnyFault._default_manager.filter(content_type=kind).exclude(
        object_id__in=Room._default_manager.values("pk")
    )
    assert orphans.count() == 1
