"""What the page on models says: fields, rules in the database, validation, order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import django
import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F, Index, ProtectedError
from django.test.utils import isolate_apps

from lab.academy.models import Certificate, Course, Enrollment, Learner, Lesson, Tag, User
from lab.academy.seed import seed
from tests import databases
from tests.recording.entities import entities
from tests.recording.plan import plan
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import DjangoDbBlocker

    from tests.recording.files import Recorder

with isolate_apps("lab.django_app"):  # these models are known to nobody else, and have no tables
    from lab.django_app.model_samples import Fee, Profile, SignUp, join

DAY = date(2026, 1, 5)


def make_course(**fields: Any) -> Course:
    """Return a saved course."""
    return Course.objects.create(**{"title": "Maps", "slug": "maps", "starts_on": DAY, "ends_on": DAY, **fields})


@pytest.fixture
def tables(database: str, transactional_db: None) -> Iterator[None]:
    """The tables of the sample models."""
    assert {Fee, Profile}.isdisjoint(apps.get_models())
    with connection.schema_editor() as editor:
        editor.create_model(Fee)
        editor.create_model(Profile)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Fee)
        editor.delete_model(Profile)


def test_the_entity_diagram(record: Recorder) -> None:
    record(
        "academy.svg",
        entities(
            *(User, Learner, Tag, Course, Lesson, Enrollment, Certificate),
            title="The tables of the academy",
            description=(
                "A learner may have one user account. Enrollment stands between learner and course: each has many. "
                "An enrollment has at most one certificate. A course has many lessons and many tags, "
                "and may have a user as its teacher."
            ),
        ),
    )


@pytest.mark.databases("postgresql")
def test_fields_session(tables: None, session: Callable[..., None]) -> None:
    session("fields.pycon", Fee=Fee, Decimal=Decimal, F=F, connection=connection)


@pytest.mark.databases
def test_a_decimal_is_exact_where_the_database_has_decimals(tables: None, database: str) -> None:
    fees = Fee.objects
    fees.create(payer="Ama", amount=Decimal("0.10"), rough=0.1)
    fees.update(amount=F("amount") + Decimal("0.20"), rough=F("rough") + 0.2)
    assert not fees.filter(rough=0.3).exists()
    assert fees.filter(amount=Decimal("0.30")).exists() == (database != "sqlite")


@pytest.mark.databases
def test_a_generated_field_after_save(tables: None) -> None:
    fee = Fee.objects.create(payer="Ama", amount=Decimal(3), rough=3)
    fee.amount = Decimal(5)
    fee.save()
    assert fee.due == (Decimal(3) if django.VERSION < (6, 0) else Decimal(5))
    fee.refresh_from_db()
    assert fee.due == Decimal(5)
    fee.due = Decimal(77)
    fee.save()
    fee.refresh_from_db()
    assert fee.due == Decimal(5)


@pytest.mark.databases
def test_the_database_knows_db_default_and_generated_fields_only(tables: None) -> None:
    with connection.cursor() as cursor:
        with pytest.raises(Exception, match="discount") as refused, transaction.atomic():
            cursor.execute("INSERT INTO django_app_fee (payer, amount, rough) VALUES ('Esi', 1, 1)")
        assert refused.type.__name__ in {"IntegrityError", "OperationalError"}
        cursor.execute("INSERT INTO django_app_fee (payer, amount, discount, rough) VALUES ('Esi', 3, 1, 3)")
    fee = Fee.objects.unpaid().get()
    assert (fee.currency, fee.due, str(fee)) == ("GHS", Decimal(2), "Esi: 2.00 GHS")
    Fee.objects.update(paid_on=DAY)
    assert not Fee.objects.unpaid().exists()


def seats(number: int) -> str:
    """Return how the database takes a course with that many seats."""
    try:
        with transaction.atomic():
            make_course(slug=f"seats-{number}", seats=number)
    except (DataError, IntegrityError) as error:
        return type(error).__name__
    return "accepted"


@pytest.mark.databases
def test_lengths_and_ranges_differ(database: str, db: None) -> None:
    expected = {
        "sqlite": ("IntegrityError", "accepted", "accepted"),
        "postgresql": ("IntegrityError", "DataError", "DataError"),
        "mariadb": ("DataError", "accepted", "DataError"),
    }
    assert (seats(-1), seats(40_000), seats(70_000)) == expected[database]
    if database == "sqlite":
        make_course(title="x" * 121)
    else:
        with pytest.raises(DataError), transaction.atomic():
            make_course(title="x" * 121)


@pytest.mark.databases
def test_upper_case_is_another_address_unless_the_collation_says_no(database: str, db: None) -> None:
    Learner.objects.create(name="Ama", email="ama@example.com")
    if database == "mariadb":
        with pytest.raises(IntegrityError), transaction.atomic():
            Learner.objects.create(name="Ama", email="AMA@example.com")
    else:
        Learner.objects.create(name="Ama", email="AMA@example.com")


@pytest.mark.services
def test_each_database_refuses_in_its_own_words(
    record: Recorder, django_db_blocker: DjangoDbBlocker, django_db_setup: None
) -> None:
    titles = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
    said: dict[str, list[str]] = {}
    for name in databases.NAMES:
        with django_db_blocker.unblock(), databases.use(name), transaction.atomic():
            for rule, words in refusals().items():
                said.setdefault(rule, []).append(f"  {titles[name]:11} {words}")
            transaction.set_rollback(True)
    record("refusals.txt", "\n".join(line for rule, lines in said.items() for line in (rule, *lines)))


def refusals() -> dict[str, str]:
    """Return what the database says to rows that break a rule."""
    course = make_course(pk=901)
    learner = Learner.objects.create(pk=902, name="Ama", email="ama@example.com")
    Enrollment.objects.create(learner=learner, course=course)

    attempts: dict[str, Callable[[], Any]] = {
        "the same enrollment twice: unique": lambda: Enrollment.objects.create(learner=learner, course=course),
        "grade=101: check": lambda: Enrollment.objects.update(grade=101),
        "title=None: not null": lambda: make_course(slug="no-title", title=None),
    }
    found = {}
    for rule, attempt in attempts.items():
        with pytest.raises(IntegrityError) as error, transaction.atomic():
            attempt()
        # PostgreSQL adds the row in a second line; the name of the test database says nothing.
        words = str(error.value).splitlines()[0].replace(str(connection.settings_dict["NAME"]), "academy")
        found[rule] = words
    return found


@pytest.mark.databases
@pytest.mark.django_db(transaction=True)
def test_a_foreign_key_is_checked_at_commit_except_on_mariadb(database: str) -> None:
    course = make_course()
    learner = Learner.objects.create(name="Ama", email="ama@example.com")
    Enrollment.objects.create(learner=learner, course=course)
    steps = []

    @transaction.atomic
    def delete() -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM academy_course WHERE id = %s", [course.pk])
        steps.append("accepted")

    with pytest.raises(IntegrityError):
        delete()
    assert steps == ([] if database == "mariadb" else ["accepted"])
    assert Course.objects.filter(pk=course.pk).exists()


@pytest.mark.databases("postgresql")
def test_validation_session(academy: None, session: Callable[..., None]) -> None:
    session("validation.pycon", date=date, Course=Course, Learner=Learner, Enrollment=Enrollment)


@pytest.mark.databases
def test_only_full_clean_knows_choices(db: None) -> None:
    course = make_course(level="wizard")
    assert Course.objects.filter(level="wizard").exists()
    with pytest.raises(ValidationError, match="not a valid choice"):
        course.full_clean()


@pytest.mark.databases
def test_every_constraint_is_validated_and_held(db: None) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "course_has_a_title": {"title": ""},
        "course_has_a_seat": {"seats": 0},
        "course_ends_after_start": {"ends_on": date(2026, 1, 4)},
    }
    for constraint, fields in wrong.items():
        course = Course(**{"title": "Maps", "slug": "maps", "starts_on": DAY, "ends_on": DAY, **fields})
        with pytest.raises(ValidationError, match=constraint):
            course.validate_constraints()
        with pytest.raises(ValidationError):
            course.full_clean()
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            course.save()


@pytest.mark.databases("postgresql")
def test_on_delete_session(db: None, session: Callable[..., None]) -> None:
    user = User.objects.create_user("ama@example.com")
    session("on_delete.pycon", user=user, course=make_course(), Learner=Learner, Enrollment=Enrollment)


@pytest.mark.databases
def test_on_delete(db: None) -> None:
    course, user = make_course(), User.objects.create_user("ama@example.com")
    course.lessons.create(title="Scale", position=1)
    learner = Learner.objects.create(name="Ama", email="ama@example.com", user=user)
    enrollment = Enrollment.objects.create(learner=learner, course=course)
    user.delete()
    learner.refresh_from_db()
    assert learner.user is None
    with pytest.raises(ProtectedError):
        course.delete()
    certificate = Certificate.objects.create(enrollment=enrollment)
    with pytest.raises(ProtectedError):
        learner.delete()
    certificate.delete()
    learner.delete()
    course.delete()
    assert not Enrollment.objects.exists()
    assert not Lesson.objects.exists()


@pytest.mark.databases("postgresql")
def test_django_itself_deletes_the_lessons(academy: None, record: Recorder) -> None:
    course = make_course()
    course.lessons.create(title="Scale", position=1)
    with queries() as sent:
        course.delete()
    assert "CASCADE" not in sent.text
    record("cascade.sql", sent.text)


@pytest.mark.databases("postgresql")
def test_the_price_of_order(db: None, record: Recorder) -> None:
    seed(courses=20, learners=1000)
    record("ordering.plan", plan(Enrollment.objects.all()[:3]))
    connection.check_constraints()  # PostgreSQL alters no table with checks that are still to come
    with connection.schema_editor() as editor:
        editor.add_index(Enrollment, Index(fields=["enrolled_on", "id"], name="enrollment_by_day"))
    indexed = plan(Enrollment.objects.all()[:3])
    assert "enrollment_by_day" in indexed
    assert "3000" not in indexed
    assert "Sort" not in indexed


@pytest.mark.databases("postgresql")
def test_order_by_a_relation(db: None, record: Recorder) -> None:
    with queries() as sent:
        list(Enrollment.objects.values_list("pk").order_by("course"))
        list(Enrollment.objects.values_list("pk").order_by("course_id"))
    assert sent.statements[0].count("JOIN") == 1
    assert "JOIN" not in sent.statements[1]
    record("ordering.sql", sent.text)


@pytest.mark.databases("postgresql")
def test_text_of_a_certificate(academy: None, session: Callable[..., None]) -> None:
    session("text.pycon", Certificate=Certificate, queries=queries)


@pytest.mark.databases
@pytest.mark.wrong("lab/django_app/model_samples.py:wrong_form")
def test_a_rule_in_the_form_alone_loses_the_race(db: None) -> None:
    first, second = (SignUp({"name": "Esi", "email": f"esi@example.{end}"}) for end in ("com", "org"))
    assert first.is_valid()
    assert second.is_valid()
    first.save()
    second.save()
    assert Learner.objects.filter(name="Esi").count() == 2
    late = SignUp({"name": "Esi", "email": "esi@example.net"})
    assert late.errors == {"name": ["This name is taken."]}


@pytest.mark.databases("postgresql")
def test_race_session(db: None, session: Callable[..., None]) -> None:
    session("race.pycon", SignUp=SignUp)


@pytest.mark.databases("postgresql")
def test_refused_race_session(db: None, session: Callable[..., None]) -> None:
    esi = Learner.objects.create(pk=902, name="Esi", email="esi@example.com")
    session("race_refused.pycon", Enrollment=Enrollment, esi=esi, course=make_course(pk=901))


@pytest.mark.databases
def test_who_comes_second_gets_an_answer(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    course, learner = make_course(), Learner.objects.create(name="Ama", email="ama@example.com")
    assert join(learner, course).pk
    with pytest.raises(ValidationError, match="already exists"):
        join(learner, course)
    # As if the other enrollment came between the check and the save.
    monkeypatch.setattr(Enrollment, "full_clean", lambda _: None)
    with pytest.raises(ValidationError, match="You have joined this course before"):
        join(learner, course)
    assert Enrollment.objects.count() == 1


@pytest.mark.databases
@pytest.mark.wrong("lab/django_app/model_samples.py:wrong_null")
def test_null_gives_nothing_two_spellings(tables: None) -> None:
    for motto in ("", None):
        Profile._default_manager.create(motto=motto)
    assert Profile._default_manager.filter(motto="").count() == 1
    assert Profile._default_manager.filter(motto=None).count() == 1


@pytest.mark.databases("postgresql")
def test_null_session(tables: None, session: Callable[..., None]) -> None:
    session("null.pycon", Profile=Profile)
