"""Each kind of relation as a table and as queries, trees, and a relation that gets a column."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import F, ProtectedError, Sum
from django.test.utils import isolate_apps

from lab.academy.models import Certificate, Course, Enrollment, Learner, Lesson, Tag
from lab.database_design.relationships import (
    replace,
    with_long_lessons,
    wrong_replace,
    wrong_with_long_lessons,
)
from tests.lab.database_design import psql
from tests.lab.database_design.two import people
from tests.recording.entities import entities
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django.db.migrations import operations

    from tests.recording.files import Recorder

    Session = Callable[..., None]

with isolate_apps("lab.database_design"):  # these models are known to nobody else, and have no tables
    from lab.database_design.relationships_samples import (
        BELOW,
        NOT_IN_ITSELF,
        THROUGH,
        WRONG_RECREATE,
        WRONG_THROUGH,
        ListedCourse,
        Topic,
        below,
        move,
        wrong_move,
    )

ON_POSTGRESQL = pytest.mark.databases("postgresql")


def run(*statements: str) -> None:
    """Send statements that find nothing."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def tables(database: str, transactional_db: None) -> Iterator[None]:
    """The tables of the sample models."""
    with connection.schema_editor() as editor:
        editor.create_model(ListedCourse)
        editor.create_model(Topic)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Topic)
        editor.delete_model(ListedCourse)


@pytest.fixture
def topics(tables: None) -> dict[str, Any]:
    """Computing, in it Data and Networks, in Data SQL, in that Joins."""
    made: dict[str, Any] = {}
    for name, parent in (("computing", None), ("data", "computing"), ("networks", "computing"), ("sql", "data")):
        made[name] = Topic._default_manager.create(name=name, parent=made.get(parent or ""))
    made["joins"] = Topic._default_manager.create(name="joins", parent=made["sql"])
    return made


# The kinds


def test_the_entities(record: Recorder) -> None:
    record(
        "relationships.svg",
        entities(
            Course,
            Lesson,
            Tag,
            Enrollment,
            Certificate,
            title="The relations of a course",
            description=(
                "A course has many lessons; courses and tags are many-to-many; an enrollment stands between"
                " a learner and a course; an enrollment has one certificate at most."
            ),
        ),
    )


def columns(statement: str) -> str:
    """Return a CREATE TABLE with a line for each column that refers or is referred to."""
    start, inside = statement.rstrip(")").split(" (", 1)
    listed = re.split(r", (?![^(]*\))", inside)
    kept = [column for column in listed if re.match(r'"?(\w+_)?id"? ', column)]
    return f"{start} (\n    " + ",\n    ".join(kept) + (",\n    …\n)" if len(kept) < len(listed) else "\n)")


@ON_POSTGRESQL
def test_the_tables(db: None, record: Recorder) -> None:
    made: list[type[models.Model]] = [Lesson, Course.tags.through, Enrollment, Certificate]
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for model in made:
            editor.create_model(model)
    shown = []
    for line in editor.collected_sql:
        statement = line.rstrip(";").replace('"', "")
        if statement.startswith("CREATE TABLE"):
            shown.append(columns(statement) + ";")
        elif "UNIQUE" in statement or ("course_id" in statement and "academy_lesson" in statement):
            shown.append(re.sub(r" (ADD CONSTRAINT|FOREIGN KEY|REFERENCES|ON|UNIQUE) ", r"\n    \1 ", statement) + ";")
    order = {name: number for number, name in enumerate(model._meta.db_table for model in made)}
    shown.sort(key=lambda text: order[re.findall(r"(?:TABLE|ON) (\w+)", text)[0]])
    text = "\n\n".join(shown)
    assert text.count("CREATE TABLE") == 4
    assert "enrollment_id bigint NOT NULL UNIQUE" in text
    record("relationships_tables.sql", text)


CALLS = (
    "course.lessons.all()",
    "lesson.course_id",
    "lesson.course",
    "course.lessons.add(lesson, other)",
    "course.lessons.set([lesson])",
    "course.tags.all()",
    "course.tags.add(data, web)",
    "course.tags.set([web])",
    "course.tags.clear()",
    'course.learners.add(esi, through_defaults={"grade": 90})',
    "course.learners.remove(esi)",
    "enrollment.certificate",
    "certificate.enrollment",
)


@contextmanager
def forgotten(names: dict[str, Any]) -> Iterator[None]:
    """Let objects forget what they have fetched, and what was written."""
    for name, value in names.items():
        if isinstance(value, models.Model):
            names[name] = type(value)._default_manager.get(pk=value.pk)
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@ON_POSTGRESQL
def test_what_each_call_sends(academy: None, record: Recorder) -> None:
    course = Course.objects.get(slug="caching")
    esi = Learner.objects.exclude(courses=course)[0]
    certificate = Certificate.objects.all()[0]
    course.tags.set(Tag.objects.filter(name="data"))
    Lesson.objects.exclude(course=course).update(position=F("pk") + 100)
    names = {
        "course": course,
        "lesson": Lesson.objects.exclude(course=course)[0],
        "other": Lesson.objects.exclude(course=course)[1],
        "data": Tag.objects.get(name="data"),
        "web": Tag.objects.get(name="web"),
        "esi": esi,
        "enrollment": certificate.enrollment,
        "certificate": certificate,
    }
    lines = ["| Code | Statements |", "| --- | --- |"]
    counted = {}
    for call in CALLS:
        with forgotten(names):
            if call == "course.learners.remove(esi)":
                course.learners.add(esi)
            error = ""
            with queries() as sent:
                try:
                    found = eval(call, {}, names)  # noqa: S307  (the calls stand above)
                    if isinstance(found, models.QuerySet):
                        list(found)
                except AttributeError as refused:
                    error = str(refused)
            verbs = [text.split()[0] for text in sent.statements if not re.match("SAVEPOINT|RELEASE", text)]
            counted[call] = verbs
            lines.append(f"| `{call}` | {error or ', '.join(f'`{verb}`' for verb in verbs) or 'none'} |")
    assert counted["lesson.course_id"] == []
    assert counted["course.tags.add(data, web)"] == ["INSERT"]
    record("relationships_calls.md", "\n".join(lines))


@pytest.mark.databases
def test_set_on_a_foreign_key_that_is_not_null_removes_nothing(academy: None) -> None:
    course, other = Course.objects.all()[:2]
    before = course.lessons.count()
    taken = other.lessons.all()[0]
    taken.position = 99
    taken.save()
    course.lessons.set([taken])
    assert course.lessons.count() == before + 1
    assert not hasattr(course.lessons, "remove")


@pytest.mark.databases
def test_the_other_side_of_one_to_one_may_be_missing(academy: None) -> None:
    without = Enrollment.objects.filter(certificate=None)[0]
    with pytest.raises(ObjectDoesNotExist):
        _ = without.certificate
    assert not hasattr(without, "certificate")
    assert Enrollment.objects.select_related("certificate").filter(certificate=None).exists()
    certificate = Certificate.objects.all()[0]
    with pytest.raises(IntegrityError), transaction.atomic():
        Certificate.objects.create(enrollment=certificate.enrollment)


# A relation with columns


def free_course() -> Course:
    """Return a course with learners and grades and without certificates."""
    Certificate.objects.all().delete()
    course = Course.objects.get(slug="caching")
    course.learners.set(Learner.objects.filter(name__in=["Ama", "Kofi"]))
    course.enrollments.update(grade=90)
    return course


@pytest.mark.wrong("lab/database_design/relationships.py:wrong_replace")
@pytest.mark.databases
def test_clearing_loses_what_the_rows_held(academy: None) -> None:
    course = free_course()
    learners = list(Learner.objects.filter(name__in=["Ama", "Esi"]))
    with transaction.atomic():
        replace(course, learners)
        assert sorted(course.enrollments.values_list("learner__name", "grade")) == [("Ama", 90), ("Esi", None)]
        transaction.set_rollback(True)
    wrong_replace(course, learners)
    assert sorted(course.enrollments.values_list("learner__name", "grade")) == [("Ama", None), ("Esi", None)]


@pytest.mark.databases
def test_add_leaves_a_pair_as_it_is(academy: None) -> None:
    course, ama = free_course(), Learner.objects.get(name="Ama")
    course.learners.add(ama, through_defaults={"grade": 10})
    assert course.enrollments.get(learner=ama).grade == 90


@pytest.mark.databases
def test_a_protected_row_stops_the_removal(academy: None) -> None:
    certificate = Certificate.objects.all()[0]
    enrollment = certificate.enrollment
    with pytest.raises(ProtectedError):
        enrollment.course.learners.remove(enrollment.learner)


@ON_POSTGRESQL
def test_columns_as_recorded(academy: None, session: Session) -> None:
    course = free_course()
    named = {name.lower(): Learner.objects.get(name=name) for name in ("Ama", "Kofi", "Esi")}

    def grades() -> dict[str, int | None]:
        return dict(course.enrollments.order_by("learner__name").values_list("learner__name", "grade"))

    session(
        "relationships_replace.pycon",
        **named,
        course=course,
        grades=grades,
        replace=replace,
        wrong_replace=wrong_replace,
    )


# Repetitions


@pytest.mark.wrong("lab/database_design/relationships.py:wrong_with_long_lessons")
@pytest.mark.databases
def test_a_join_repeats_rows(academy: None) -> None:
    everything = wrong_with_long_lessons()
    assert everything.count() > everything.distinct().count() == with_long_lessons().count()
    assert set(everything) == set(with_long_lessons())
    total = everything.aggregate(total=Sum("seats"))["total"]
    assert total > with_long_lessons().aggregate(total=Sum("seats"))["total"]
    by_lesson = everything.order_by("lessons__minutes").distinct()
    assert by_lesson.count() == with_long_lessons().count() < len(by_lesson)


@ON_POSTGRESQL
def test_repetitions_as_recorded(academy: None, session: Session) -> None:
    session(
        "relationships_join.pycon",
        wrong_with_long_lessons=wrong_with_long_lessons,
        with_long_lessons=with_long_lessons,
        Sum=Sum,
    )


# A list in a string


def listed() -> None:
    """Store three courses with tags in a string."""
    for title, tags in (("Joins", "sql,data"), ("Servers", "mysql,operations"), ("Charts", "data, web,dta")):
        ListedCourse._default_manager.create(title=title, tags=tags)


@pytest.mark.wrong("lab/database_design/relationships_samples.py:wrong_list")
@pytest.mark.databases
def test_a_list_in_a_string(tables: None) -> None:
    listed()
    courses = ListedCourse._default_manager
    assert courses.filter(tags__contains="sql").count() == 2
    assert ListedCourse._default_manager.filter(tags__regex="(^|,)web(,|$)").count() == 0
    courses.create(title="Anything", tags="no such tag")


@ON_POSTGRESQL
def test_a_list_as_recorded(tables: None, session: Session) -> None:
    listed()
    session("relationships_list.pycon", ListedCourse=ListedCourse)


# Trees


@pytest.mark.databases
def test_all_that_is_below(topics: dict[str, Any], database: str) -> None:
    with queries() as sent:
        tree: list[Any] = list(below(topics["computing"]))
        found = [(topic.name, topic.depth) for topic in tree]
    assert found == [("computing", 0), ("data", 1), ("networks", 1), ("sql", 2), ("joins", 3)]
    assert len(sent.statements) == 1
    assert [topic.name for topic in below(topics["sql"])] == ["sql", "joins"]


def up(topic: Topic) -> list[str]:
    """Return the names from a topic to its root, a query for each step."""
    names = [topic.name]
    while topic.parent:
        topic = topic.parent
        names.append(topic.name)
    return names


@pytest.mark.databases
def test_a_query_for_each_step(topics: dict[str, Any]) -> None:
    joins = Topic._default_manager.get(name="joins")
    with queries() as sent:
        assert up(joins) == ["joins", "sql", "data", "computing"]
    assert len(sent.statements) == 3


@ON_POSTGRESQL
def test_a_tree_as_recorded(topics: dict[str, Any], session: Session) -> None:
    session("relationships_tree.pycon", **topics, below=below, up=up, queries=queries, Topic=Topic)


@pytest.mark.databases
def test_self_many_to_many_is_symmetrical_unless_told(topics: dict[str, Any]) -> None:
    topics["joins"].needs.add(topics["data"])
    assert list(topics["data"].needs.all()) == []
    assert list(topics["data"].needed_by.all()) == [topics["joins"]]
    topics["data"].needs.add(topics["joins"])  # nothing refuses a circle
    with isolate_apps("lab.database_design"):

        class Friend(models.Model):
            friends = models.ManyToManyField("self")

            class Meta:
                app_label = "database_design"

    with connection.schema_editor() as editor:
        editor.create_model(Friend)
    try:
        ama, kofi = Friend._default_manager.create(), Friend._default_manager.create()
        ama.friends.add(kofi)
        assert list(kofi.friends.all()) == [ama]
        assert Friend.friends.through._default_manager.count() == 2
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Friend)


@pytest.mark.databases
def test_what_refuses_a_cycle(topics: dict[str, Any]) -> None:
    data = topics["data"]
    with pytest.raises(ValidationError):
        move(data, topics["joins"])
    move(topics["joins"], topics["networks"])
    assert up(Topic._default_manager.get(name="joins")) == ["joins", "networks", "computing"]
    Topic._default_manager.filter(pk=data.pk).update(parent=topics["sql"])  # nothing refuses this


@pytest.mark.databases
def test_who_checks_the_smallest_cycle(topics: dict[str, Any], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Topic._meta, "constraints", [NOT_IN_ITSELF])
    if database == "mariadb":
        with (
            pytest.raises(OperationalError, match="AUTO_INCREMENT' cannot be used in the CHECK"),
            connection.schema_editor() as editor,
        ):
            editor.add_constraint(Topic, NOT_IN_ITSELF)
        return
    with connection.schema_editor() as editor:
        editor.add_constraint(Topic, NOT_IN_ITSELF)
    with pytest.raises(IntegrityError), transaction.atomic():
        Topic._default_manager.filter(name="data").update(parent=F("pk"))
    Topic._default_manager.filter(name="data").update(parent=topics["sql"])


@ON_POSTGRESQL
def test_a_cycle_as_recorded(topics: dict[str, Any], record: Recorder) -> None:
    with connection.schema_editor() as editor:
        editor.add_constraint(Topic, NOT_IN_ITSELF)
    name = "relationships_cycle.psql"
    record(name, psql.rerun(record.transcript(name, "=>")))


@pytest.mark.databases("mariadb")
def test_mariadb_stops_after_a_number_of_steps(topics: dict[str, Any]) -> None:
    Topic._default_manager.filter(name="data").update(parent=topics["sql"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_recursive_iterations")
        limit = cursor.fetchone()[0]
        assert limit == 1000
    assert 1000 <= len(below(topics["data"])) < 3000
    with connection.cursor() as cursor:
        cursor.execute(BELOW, [topics["data"].pk])
        cursor.execute("SHOW WARNINGS")
        assert "max_recursive_iterations" in str(cursor.fetchall())
        cursor.execute(
            "WITH RECURSIVE below AS (SELECT id FROM database_design_topic WHERE name = 'data'"
            " UNION ALL SELECT child.id FROM database_design_topic child JOIN below ON child.parent_id = below.id"
            ") CYCLE id RESTRICT SELECT count(*) FROM below"
        )
        assert cursor.fetchone() == (3,)


def test_a_topic_cannot_go_into_its_own_part(topics: dict[str, Any]) -> None:
    data = topics["data"]
    data.parent = topics["networks"]
    data.save()
    with pytest.raises(ValidationError, match="its own part"):
        wrong_move(topics["networks"], data)


@pytest.mark.wrong("lab/database_design/relationships_samples.py:wrong_move")
@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("locks", [False, True])
def test_two_moves_make_a_cycle(topics: dict[str, Any], *, locks: bool) -> None:
    data, networks = topics["data"], topics["networks"]
    step = move if locks else wrong_move
    with people("Ama", "Kofi") as (ama, kofi):
        ama.do(transaction.set_autocommit, False)
        kofi.do(transaction.set_autocommit, False)
        ama.do(step, data, networks)
        second = kofi.start(step, networks, data)
        assert kofi.waiting or not locks
        ama.do(transaction.commit)
        kofi.settle()
        with suppress(ValidationError):
            second.result(10)
        kofi.do(transaction.commit)
        for person in (ama, kofi):
            person.do(transaction.set_autocommit, True)
    pair = dict(Topic._default_manager.filter(name__in=["data", "networks"]).values_list("name", "parent_id"))
    circle = {"data": networks.pk, "networks": data.pk}
    assert (pair == circle) == (not locks)


# A relation that gets a column


def start() -> ProjectState:
    """Return books with topics, many to many."""
    state = ProjectState()
    key: tuple[str, Any] = ("id", models.BigAutoField(primary_key=True))
    state.add_model(ModelState("database_design", "Topic", [key, ("name", models.CharField(max_length=80))]))
    fields: list[tuple[str, Any]] = [
        key,
        ("title", models.CharField(max_length=80)),
        ("topics", models.ManyToManyField("Topic")),
    ]
    state.add_model(ModelState("database_design", "Book", fields))
    return state


def migrate(state: ProjectState, steps: Sequence[operations.base.Operation]) -> ProjectState:
    """Apply operations to the database; return the state after them."""
    for step in steps:
        after = state.clone()
        step.state_forwards("database_design", after)
        with connection.schema_editor() as editor:
            step.database_forwards("database_design", editor, state, after)
        state = after
    return state


@contextmanager
def books() -> Iterator[ProjectState]:
    """The tables of books, and one book on two topics."""
    state = start()
    with connection.schema_editor() as editor:
        for name in ("Topic", "Book"):
            editor.create_model(state.apps.get_model("database_design", name))
    book = state.apps.get_model("database_design", "Book")._default_manager.create(title="Querying")
    for name in ("Joins", "Indexes"):
        book.topics.create(name=name)
    try:
        yield state
    finally:
        made = connection.introspection.table_names()
        mine = ("chapter", "book_topics", "book", "topic")
        run(*[f"DROP TABLE database_design_{name}" for name in mine if f"database_design_{name}" in made])


def kept(state: ProjectState) -> int:
    """Return how many topics the book has."""
    return int(state.apps.get_model("database_design", "Book")._default_manager.get().topics.count())


@pytest.mark.wrong("lab/database_design/relationships_samples.py:wrong_through")
@pytest.mark.wrong("lab/database_design/relationships_samples.py:wrong_recreate")
@pytest.mark.databases
@pytest.mark.django_db(transaction=True)
def test_a_relation_gets_a_column(database: str) -> None:
    with books() as state:
        assert kept(state) == 2
        with pytest.raises(ValueError, match="you cannot alter to or from M2M fields, or add or remove through="):
            migrate(state, [*WRONG_RECREATE[1:2], *WRONG_THROUGH])
    with books() as state:
        assert kept(migrate(state, WRONG_RECREATE)) == 0
    with books() as state:
        after = migrate(state, THROUGH)
        assert kept(after) == 2
        chapters = after.apps.get_model("database_design", "Chapter")._default_manager
        assert list(chapters.values_list("pages", flat=True)) == [None, None]
        one = chapters.all()[0]
        with pytest.raises(IntegrityError), transaction.atomic():
            chapters.create(book_id=one.book_id, topic_id=one.topic_id)


def migrated(steps: Sequence[operations.base.Operation]) -> list[str]:
    """Migrate a book on Indexes and Joins; return its topics then."""
    with books() as state:
        book = migrate(state, steps).apps.get_model("database_design", "Book")._default_manager.get()
        return sorted(book.topics.values_list("name", flat=True))


@ON_POSTGRESQL
@pytest.mark.django_db(transaction=True)
def test_a_column_as_recorded(session: Session) -> None:
    session(
        "relationships_through.pycon",
        WRONG_THROUGH=[WRONG_RECREATE[1], *WRONG_THROUGH],
        WRONG_RECREATE=WRONG_RECREATE,
        THROUGH=THROUGH,
        migrated=migrated,
    )
    with books() as state, queries() as sent:
        migrate(state, THROUGH)
    changes = [text.replace('"', "") for text in sent.statements if text not in {"BEGIN", "COMMIT"}]
    assert changes == ["ALTER TABLE database_design_book_topics ADD COLUMN pages smallint NULL CHECK (pages >= 0)"]
