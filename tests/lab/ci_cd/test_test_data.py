# mypy: disallow-untyped-calls=False
"""Data from a seed, from fixtures, factories, a builder and a file: what each says and what it hides."""

from __future__ import annotations

import datetime
import random
from typing import TYPE_CHECKING

import factory.random
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import post_save

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.academy.seed import seed
from lab.ci_cd import test_data_samples
from lab.ci_cd.test_data import CourseFactory, EnrollmentFactory, LearnerFactory, full_course
from scripts.pages import ROOT
from tests.lab.ci_cd.pytest_run import quoted, run
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder

SAMPLES = "lab/ci_cd/test_data_samples.py"


# --8<-- [start:seeded]
def test_a_full_course_takes_nobody_1(academy: None) -> None:
    course = Course.objects.get(slug="databases")
    course.seats = course.enrollments.count()
    course.save()
    with pytest.raises(CannotEnroll, match="full"):
        enroll(Learner.objects.exclude(courses=course)[0], course)


# --8<-- [end:seeded]


# --8<-- [start:fixture]
@pytest.fixture
def pottery(db: None) -> Course:
    course = Course.objects.create(
        title="Pottery",
        slug="pottery",
        seats=1,
        published=True,
        starts_on=datetime.date(2026, 1, 5),
        ends_on=datetime.date(2026, 2, 16),
    )
    ama = Learner.objects.create(name="Ama", email="ama@example.com")
    enroll(ama, course)
    return course


def test_a_full_course_takes_nobody_2(pottery: Course) -> None:
    kofi = Learner.objects.create(name="Kofi", email="kofi@example.com")
    with pytest.raises(CannotEnroll, match="full"):
        enroll(kofi, pottery)


# --8<-- [end:fixture]


# --8<-- [start:built]
def test_a_full_course_takes_nobody_3(db: None) -> None:
    course = full_course(seats=1)
    with pytest.raises(CannotEnroll, match="full"):
        enroll(LearnerFactory.create(), course)


# --8<-- [end:built]


def without_rule(learner: Learner, course: Course) -> Enrollment:
    """Enroll without looking at the seats."""
    return Enrollment.objects.create(learner=learner, course=course)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_all_three_notice_that_the_rule_is_gone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    argument = request.getfixturevalue({1: "academy", 2: "pottery", 3: "db"}[number])
    monkeypatch.setitem(globals(), "enroll", without_rule)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        globals()[f"test_a_full_course_takes_nobody_{number}"](argument)


@pytest.mark.wrong("lab/ci_cd/test_data_samples.py:wrong_seeded")
def test_a_number_from_the_seed_belongs_to_nobody(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        test_data_samples.test_most_courses_are_published()
        transaction.set_rollback(True)
    monkeypatch.setattr(test_data_samples, "seed", lambda courses, learners: seed(courses + 1, learners))
    with pytest.raises(AssertionError):
        test_data_samples.test_most_courses_are_published()


# Factories


@pytest.mark.databases("postgresql")
def test_the_session_with_factories(db: None, session: Callable[..., None]) -> None:
    for made in (CourseFactory, LearnerFactory):
        made.reset_sequence(0)
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE academy_course_id_seq RESTART")
    session(
        "test_data_factories.pycon",
        Course=Course,
        CourseFactory=CourseFactory,
        EnrollmentFactory=EnrollmentFactory,
        datetime=datetime,
    )


@pytest.mark.databases
def test_the_database_refuses_what_a_factory_should_not_make(db: None) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CourseFactory(ends_on=datetime.date(2025, 12, 31))
    with pytest.raises(IntegrityError), transaction.atomic():
        EnrollmentFactory(grade=101)
    assert EnrollmentFactory.build(grade=101).grade == 101  # nobody asked the database


@pytest.mark.databases("postgresql")
def test_what_one_line_sends(db: None, record: Recorder) -> None:
    ways: dict[str, Callable[[], object]] = {
        "`EnrollmentFactory.build()`": EnrollmentFactory.build,
        "`EnrollmentFactory()`": EnrollmentFactory,
        "`EnrollmentFactory.create_batch(10)`": lambda: EnrollmentFactory.create_batch(10),
        "`EnrollmentFactory.create_batch(10, course=course)`": lambda: EnrollmentFactory.create_batch(
            10, course=course
        ),
        "`full_course(seats=10)`": lambda: full_course(seats=10),
        "`seed(courses=10, learners=10)`": lambda: seed(courses=10, learners=10),
    }
    rows = ["| Line | `INSERT`s | Courses | Learners | Enrollments |", "| --- | ---: | ---: | ---: | ---: |"]
    found = {}
    models = (Course, Learner, Enrollment)
    course = None
    for shown, make in ways.items():
        with transaction.atomic():
            course = CourseFactory() if "course=course" in shown else None
            before = [model._default_manager.count() for model in models]
            with queries() as sent:
                make()
            inserts = sum(statement.startswith("INSERT") for statement in sent.statements)
            made = [model._default_manager.count() - old for model, old in zip(models, before, strict=True)]
            found[shown] = inserts, *made
            rows.append(f"| {shown} | {inserts} | {' | '.join(map(str, made))} |")
            transaction.set_rollback(True)
    assert list(found.values())[:5] == [(0, 0, 0, 0), (3, 1, 1, 1), (30, 10, 10, 10), (20, 0, 10, 10), (21, 1, 10, 10)]
    inserts, courses, learners, enrollments = list(found.values())[5]
    assert (courses, learners, enrollments) == (10, 10, 30)
    assert inserts < 10
    record("test_data_inserts.md", "\n".join(rows))


def test_a_bulk_insert_sends_no_signals(db: None) -> None:
    seen = []

    def notice(**_: object) -> None:
        seen.append(1)

    post_save.connect(notice, sender=Course)
    seed(courses=3, learners=3)
    assert seen == []
    CourseFactory()
    assert seen == [1]
    post_save.disconnect(notice, sender=Course)


# State that leaks


@pytest.mark.wrong("lab/ci_cd/test_data_samples.py:wrong_roster")
def test_a_shared_fixture_leaks(tmp_path: Path, record: Recorder) -> None:
    shared = getattr(test_data_samples.roster, "__wrapped__")()  # noqa: B009
    test_data_samples.test_ama_is_alone(shared)
    test_data_samples.test_kofi_joins(shared)
    with pytest.raises(AssertionError):
        test_data_samples.test_ama_is_alone(shared)
    text = "import pytest\n\n\n" + quoted(SAMPLES, "wrong_roster")
    (tmp_path / "test_roster.py").write_text(text)
    command = "pytest -q --tb=no test_roster.py"
    shown = [run(tmp_path, command), run(tmp_path, f"{command} -k alone")]
    assert "1 failed, 1 passed" in shown[0]
    assert "1 passed, 1 deselected" in shown[1]
    record("test_data_leak.console", "\n".join(shown))
    (tmp_path / "test_roster.py").write_text(text.replace('(scope="module")', ""))
    assert "2 passed" in run(tmp_path, command)


# Randomness


def make_until_it_fails(made: list[int]) -> None:
    """Store up to 500 learners; append how many there were when one was refused."""
    for count in range(500):
        try:
            test_data_samples.RandomLearnerFactory()
        except IntegrityError:
            made.append(count)
            raise


@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/ci_cd/test_data_samples.py:wrong_learner")
def test_random_names_collide(db: None) -> None:
    made: list[int] = []
    for start in range(5):
        factory.random.reseed_random(start)
        before = Learner.objects.count()
        with pytest.raises(IntegrityError, match="academy_learner_email_key"), transaction.atomic():
            make_until_it_fails(made)
        assert Learner.objects.count() == before
    assert max(made) < 20
    assert len(set(made)) > 1, "it depends on the seed"
    assert len(LearnerFactory.create_batch(500)) == 500


def test_a_seed_repeats_what_chance_made() -> None:
    def names() -> list[str]:
        factory.random.reseed_random(2026)
        return [test_data_samples.RandomLearnerFactory.build().name for _ in range(5)]

    assert names() == names()


def test_python_s_own_seed_is_another() -> None:
    factory.random.reseed_random(2026)
    first = test_data_samples.RandomLearnerFactory.build().name
    random.seed(2026)
    second = test_data_samples.RandomLearnerFactory.build().name
    factory.random.reseed_random(2026)
    assert [test_data_samples.RandomLearnerFactory.build().name for _ in range(2)] == [first, second]


# A file


@pytest.mark.databases("postgresql")
def test_a_file_does_not_know_the_new_column(db: None, session: Callable[..., None]) -> None:
    def loaddata(name: str) -> None:
        try:
            call_command("loaddata", name)
        except IntegrityError as error:
            raise IntegrityError(str(error).replace(f"{ROOT}/", "")) from None

    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE academy_course_id_seq RESTART")
    session("test_data_json.pycon", loaddata=loaddata)


def test_the_file_loads_with_the_column(db: None, tmp_path: Path) -> None:
    text = (ROOT / "lab/ci_cd/test_data.json").read_text(encoding="utf-8")
    file = tmp_path / "course.json"
    file.write_text(text.replace('"starts_on"', '"ends_on": "2026-02-16", "starts_on"'))
    call_command("loaddata", str(file), verbosity=0)
    assert Course.objects.get().title == "Databases"
