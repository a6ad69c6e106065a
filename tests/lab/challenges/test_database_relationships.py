"""The same sign-ups in one wide table, and with each fact in a table of its own."""

from __future__ import annotations

import datetime
import threading
import time
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.text import slugify

from lab.academy.models import Course, Enrollment, Learner, Tag
from lab.challenges.database_relationships import moving
from lab.challenges.database_relationships.broken import signups as broken
from lab.challenges.database_relationships.fixed import signups as fixed
from lab.challenges.database_relationships.sheet import Signup
from tests.lab.database_design.two import LIMIT, people
from tests.recording import versions
from tests.recording.chart import Measurement
from tests.recording.entities import entities
from tests.recording.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.challenges.database_relationships.sheet import Form
    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

pytestmark = pytest.mark.databases("postgresql")
DATABASES = {
    "course": "Databases",
    "starts_on": datetime.date(2027, 1, 11),
    "ends_on": datetime.date(2027, 3, 26),
    "tags": "sql,design",
}
DOCUMENTS = {**DATABASES, "course": "Documents", "tags": "nosql"}
LATER = datetime.date(2027, 2, 1)


@pytest.fixture
def sheet(db: None) -> Iterator[None]:
    """The wide table."""
    with connection.schema_editor() as editor:
        editor.create_model(Signup)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Signup)


def form(name: str, course: Mapping[str, Any] = DATABASES) -> Form:
    """Return a form as a learner sends it."""
    filled: Form = {"email": f"{slugify(name)}@example.com", "learner": name, **course}  # type: ignore[typeddict-item]
    return filled


def complaints(office: Any) -> list[str]:
    """Use the sign-ups for a day, and return what the office complains about."""
    found = []

    def expect(what: str, got: object, right: object) -> None:
        if got != right:
            found.append(f"{what}: {got}")

    for name, course in (("Ama", DATABASES), ("Kofi", DATABASES), ("Kofi", DOCUMENTS), ("Ama", DATABASES)):
        office.sign_up(form(name, course))
    expect("Ama pressed the button twice", office.report().get("Databases"), ["Ama", "Kofi"])
    expect("only Databases is about sql", sorted(office.tagged("sql")), ["Databases"])
    office.postpone("Databases", LATER, LATER + datetime.timedelta(weeks=10))
    office.sign_up(form("Esi"))  # from a page that she opened before
    days = [day for title, day in office.timetable() if title == "Databases"]
    expect("Databases has one first day", [str(day) for day in days], [str(LATER)])
    office.leave("kofi@example.com", "Documents")
    expect("Documents is offered still", [t for t, _ in office.timetable() if t != "Databases"], ["Documents"])
    counted = []
    for courses in (3, 30):
        for number in range(courses):
            office.sign_up(form("Esi", {**DATABASES, "course": f"Course {number}"}))
        with CaptureQueriesContext(connection) as sent:
            office.report()
        counted.append(len(sent))
    few, many = counted
    expect("27 more courses cost the report so many more queries", many - few, 0)
    return found


@pytest.mark.broken("database_relationships.txt")
@pytest.mark.wrong("lab/challenges/database_relationships/broken/signups.py:wrong_signups")
@pytest.mark.django_db
def test_a_day_at_the_office(version: Version, sheet: None) -> None:
    found = complaints(version.module("signups"))
    if found:
        raise AssertionError("\n".join([f"{len(found)} complaints", *found]))


@pytest.mark.django_db
def test_the_rows_behind(sheet: None, session: Callable[..., None]) -> None:
    for name in ("Ama", "Kofi", "Ama"):
        broken.sign_up(form(name))
    broken.postpone("Databases", LATER, LATER + datetime.timedelta(weeks=10))
    broken.sign_up(form("Esi"))
    broken.sign_up(form("Kofi", DOCUMENTS))
    session("database_relationships_rows.pycon", Signup=Signup, disagreements=moving.disagreements)


def test_the_tables(record: Recorder) -> None:
    drawn = entities(
        Learner,
        Enrollment,
        Course,
        Tag,
        title="The academy's tables for sign-ups",
        description="An enrollment joins one learner and one course; a course has any number of tags.",
    )
    record("database_relationships_tables.svg", drawn)


@pytest.mark.django_db
def test_the_move(sheet: None) -> None:
    for name, course in (("Ama", DATABASES), ("Kofi", DATABASES), ("Kofi", DOCUMENTS), ("Ama", DATABASES)):
        broken.sign_up(form(name, course))
    broken.sign_up({**form("Esi"), "starts_on": LATER})
    with pytest.raises(ValueError, match="somebody has to decide about Databases"):
        moving.move()
    assert not Course.objects.exists()
    broken.postpone("Databases", LATER, LATER + datetime.timedelta(weeks=10))
    moving.move()
    moving.move()
    assert fixed.report() == {"Databases": ["Ama", "Esi", "Kofi"], "Documents": ["Kofi"]}
    assert fixed.tagged("sql") == {"Databases"}
    assert fixed.tagged("nosql") == {"Documents"}
    assert Enrollment.objects.count() == Signup.objects.values("email", "course").distinct().count()


@pytest.mark.django_db
def test_two_titles_with_one_slug_are_refused_and_one_address_is_one_learner() -> None:
    fixed.sign_up(form("Ama", {**DATABASES, "course": "C"}))
    with pytest.raises(IntegrityError, match="academy_course_slug_key"), transaction.atomic():
        fixed.sign_up(form("Ama", {**DATABASES, "course": "C++"}))
    fixed.sign_up({**form("Ama", DOCUMENTS), "learner": "Ama the second", "email": "AMA@example.com"})
    assert fixed.report() == {"C": ["Ama"], "Documents": ["Ama"]}


@pytest.mark.django_db(transaction=True)
def test_two_forms_at_once_are_one_enrollment(academy: None) -> None:
    """Both ask, neither finds, both insert: the constraint decides, and get_or_create reads the other's row."""
    both, stored, commit = threading.Barrier(2), threading.Event(), threading.Event()
    learner, course = Learner.objects.create(name="Efua 9", email="e9@example.com"), Course.objects.get(pk=1)

    def join_by_hand() -> str:
        assert not Enrollment.objects.filter(learner=learner, course=course).exists()
        both.wait(LIMIT)
        try:
            Enrollment.objects.create(learner=learner, course=course)
        except IntegrityError:
            return "refused"
        return "done"

    def join() -> bool:
        return learner.enrollments.get_or_create(course=course)[1]

    @transaction.atomic
    def join_slowly() -> bool:
        new = join()
        stored.set()
        assert commit.wait(LIMIT)
        return new

    with people("Ama", "Kofi") as (ama, kofi):
        steps = [person.thread.submit(join_by_hand) for person in (ama, kofi)]
        assert sorted(step.result(LIMIT) for step in steps) == ["done", "refused"]
        Enrollment.objects.filter(learner=learner).delete()
        first = ama.thread.submit(join_slowly)
        assert stored.wait(LIMIT)
        second = kofi.start(join)
        assert kofi.waiting, "his question found nothing, and his INSERT waits for hers"
        commit.set()
        assert (first.result(LIMIT), second.result(LIMIT)) == (True, False)
    assert Enrollment.objects.filter(learner=learner).count() == 1


@pytest.mark.django_db
def test_no_constraint_while_the_rows_are_there(sheet: None) -> None:
    broken.sign_up(form("Ama"))
    broken.sign_up(form("Ama"))
    sql = "CREATE UNIQUE INDEX once ON challenges_signup (email, course)"
    with pytest.raises(IntegrityError, match="could not create unique index"), transaction.atomic():
        connection.cursor().execute(sql)


# The price of a question


def fill(signups: int, courses: int = 200) -> None:
    """Store the same sign-ups in both ways: every learner joins four courses."""
    day = datetime.date(2027, 1, 11)
    topics = ("sql", "nosql", "web", "python", "docker")
    made = [
        Course(title=f"Course {n:03}", slug=f"course-{n:03}", starts_on=day, ends_on=day, published=True)
        for n in range(courses)
    ]
    Course.objects.bulk_create(made)
    tags = Tag.objects.bulk_create(Tag(name=name) for name in topics)
    links = Course.tags.through
    links.objects.bulk_create(links(course_id=course.pk, tag_id=tags[n % 5].pk) for n, course in enumerate(made))
    people = [Learner(name=f"Learner {n:06}", email=f"learner-{n}@example.com") for n in range(signups // 4)]
    Learner.objects.bulk_create(people, batch_size=5000)
    pairs = [(who, (n * 4 + step) % courses) for n, who in enumerate(people) for step in range(4)]
    Enrollment.objects.bulk_create(
        (Enrollment(learner=who, course=made[which]) for who, which in pairs), batch_size=5000
    )
    Signup.objects.bulk_create(
        (
            Signup(
                email=who.email,
                learner=who.name,
                course=made[which].title,
                starts_on=day,
                ends_on=day,
                tags=topics[which % 5],
            )
            for who, which in pairs
        ),
        batch_size=5000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0")


def listed_wide() -> int:
    """Read every sign-up with the name and the title, from the sheet."""
    return len(list(Signup.objects.values_list("learner", "course")))


def listed_joined() -> int:
    """Read every sign-up with the name and the title, from three tables."""
    return len(list(Enrollment.objects.order_by().values_list("learner__name", "course__title")))


WAYS: Mapping[str, Callable[[], object]] = {
    "courses of a tag, one table": lambda: broken.tagged("web"),
    "courses of a tag, own tables": lambda: fixed.tagged("web"),
    "every name and title, one table": listed_wide,
    "every name and title, own tables": listed_joined,
}


@pytest.mark.django_db
def test_the_plans(sheet: None, record: Recorder) -> None:
    fill(10_000)
    wide = plan(Signup.objects.filter(tags__contains="sql").values("course").distinct())
    own = plan(Course.objects.filter(tags__name="sql").order_by().values("title"))
    record("database_relationships_wide.plan", wide)
    record("database_relationships_own.plan", own)
    assert "Rows Removed by Filter: 6000" in wide
    assert "10000" not in own
    assert len(broken.tagged("sql")) == 80  # nosql among them
    assert len(fixed.tagged("sql")) == 40


@pytest.mark.django_db
def test_the_ways_agree(sheet: None) -> None:
    fill(400, courses=20)
    assert broken.tagged("web") == fixed.tagged("web") == {f"Course {n:03}" for n in range(2, 20, 5)}
    assert listed_wide() == listed_joined() == 400
    counted = []
    for office in (broken, fixed):
        with CaptureQueriesContext(connection) as sent:
            result = office.report()
        counted.append(len(sent))
        assert {title: len(names) for title, names in result.items()} == {f"Course {n:03}": 20 for n in range(20)}
    assert counted == [21, 2]


@cache
def run() -> Mapping[str, list[tuple[float, float]]]:
    """Return the milliseconds of each question, by number of sign-ups."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for signups in (1_000, 10_000, 100_000):
        with transaction.atomic():
            fill(signups)
            taken: dict[str, list[float]] = {name: [] for name in WAYS}
            for turn in range(26):
                for name, ask in WAYS.items():
                    begin = time.perf_counter()
                    ask()
                    if turn:
                        taken[name].append((time.perf_counter() - begin) * 1000)
            transaction.set_rollback(True)
        for name, times in taken.items():
            found[name].append((signups, round(median(times), 2)))
    return found


def measure() -> Measurement:
    """Ask the two questions of both designs, one after the other."""
    return Measurement(
        title="Two questions, two designs",
        description="The search by tag grows in one table and not in tables of its own; the list grows in both.",
        x="sign-ups",
        y="Milliseconds of a question",
        versions={**dict([versions.server().split(" ")]), "Django": django.__version__},
        lines=dict(run()),
        log_x=True,
        log_y=True,
    )


@pytest.mark.measures("database_relationships")
@pytest.mark.django_db
def test_what_a_question_takes(sheet: None, measured: Callable[[str, Callable[[], Measurement]], Measurement]) -> None:
    lines = measured("database_relationships.json", measure).lines
    last = {name: points[-1][1] for name, points in lines.items()}
    first = {name: points[0][1] for name, points in lines.items()}
    one, own = "courses of a tag, one table", "courses of a tag, own tables"
    assert 1 / 3 < first[one] / first[own] < 3
    assert last[one] > 3 * last[own]
    assert last[one] / first[one] > 5 * last[own] / first[own]
    assert last["every name and title, own tables"] > last["every name and title, one table"]
