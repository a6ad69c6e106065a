"""One rule in each of the places that Django offers, against each of the ways to write a row."""

from __future__ import annotations

import datetime
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from django.contrib import admin
from django.db import IntegrityError, connection, models, transaction
from django.db.models.signals import pre_save

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner, User
from lab.practices.separation_of_concerns import (
    CheckingClean,
    CheckingForm,
    CheckingQuerySet,
    CheckingSave,
    CheckingSerializer,
    SeatForm,
    SeatSerializer,
    check_seat,
)
from scripts.pages import ROOT
from tests.lab.database_design.two import LIMIT, people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client

    from tests.recording.files import Recorder

    Session = Callable[..., None]

DAY = datetime.date(2026, 11, 23)
FORM = "Form, `clean_course()`"
SERIALIZER = "Serializer, `validate_course()`"
CLEAN = "Model, `clean()`"
SAVE = "Model, `save()`"
SIGNAL = "Signal, `pre_save`"
MANAGER = "Manager, `create()`"
SERVICE = "Service, `enroll()`"
CONSTRAINT = "Constraint (another rule: once)"
PLACES = (FORM, SERIALIZER, CLEAN, SAVE, SIGNAL, MANAGER, SERVICE, CONSTRAINT)


class Case:
    """Ama, who asks for a seat in a course that must refuse her, and her seat in another."""

    def __init__(self, place: str, client: Client, *, free: bool = False) -> None:
        self.place = place
        self.client = client
        self.course, self.other = (
            Course.objects.create(title=slug, slug=slug, seats=1, published=True, starts_on=DAY, ends_on=DAY)
            for slug in ("course", "other")
        )
        self.ama, self.kofi = (
            Learner.objects.create(name=name, email=f"{name.lower()}@example.com") for name in ("Ama", "Kofi")
        )
        if place == CONSTRAINT or free:
            Course.objects.update(seats=9)
            self.course.refresh_from_db()
        # The rule of the constraint is another: she has joined before.
        joined = self.ama if place == CONSTRAINT and not free else self.kofi
        Enrollment.objects.create(course=self.course, learner=joined)
        self.moved = Enrollment.objects.create(course=self.other, learner=self.ama)
        self.data = {"learner": self.ama.pk, "course": self.course.pk}

    def page(self) -> None:
        """Fill in a form."""
        form = (CheckingForm if self.place == FORM else SeatForm)(self.data)
        if form.is_valid():
            enroll(self.ama, self.course) if self.place == SERVICE else form.save()

    def api(self) -> None:
        """Send JSON."""
        serializer = (CheckingSerializer if self.place == SERIALIZER else SeatSerializer)(data=self.data)
        if serializer.is_valid():
            enroll(self.ama, self.course) if self.place == SERVICE else serializer.save()

    def admin(self) -> None:
        """Add a row in an admin as ``admin.site.register(Enrollment)`` makes it."""
        self.client.force_login(User.objects.create_superuser("head@example.com"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(admin.site._registry[Enrollment], "__class__", admin.ModelAdmin)
            answer = self.client.post("/admin/academy/enrollment/add/", self.data | {"enrolled_on": DAY})
        assert answer.status_code in (200, 302)  # the form again with its errors, or stored

    def create(self) -> None:
        """Store one row."""
        Enrollment.objects.create(learner=self.ama, course=self.course)

    def bulk_create(self) -> None:
        """Store many rows."""
        Enrollment.objects.bulk_create([Enrollment(learner=self.ama, course=self.course)])

    def add(self) -> None:
        """Go over the relation."""
        self.course.learners.add(self.ama)

    def update(self) -> None:
        """Move her from another course."""
        Enrollment.objects.filter(pk=self.moved.pk).update(course=self.course)

    def sql(self) -> None:
        """Be a colleague in a database shell."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO academy_enrollment (learner_id, course_id, enrolled_on) VALUES (%s, %s, %s)",
                [self.ama.pk, self.course.pk, DAY],
            )

    def broken(self) -> bool:
        """Say whether the rule is."""
        found = self.course.enrollments.filter(learner=self.ama).count()
        return found > (1 if self.place == CONSTRAINT else 0)


WAYS: dict[str, Callable[[Case], None]] = {
    "the page": Case.page,
    "the API": Case.api,
    "the admin": Case.admin,
    "`create()`": Case.create,
    "`bulk_create()`": Case.bulk_create,
    "`learners.add()`": Case.add,
    "`update()`": Case.update,
    "SQL": Case.sql,
}


@contextmanager
def based_on(model: type[models.Model]) -> Iterator[None]:
    """Let Enrollment inherit from an abstract model for a while."""
    bases = Enrollment.__bases__
    Enrollment.__bases__ = (model,)
    try:
        yield
    finally:
        Enrollment.__bases__ = bases


@contextmanager
def rule_in(place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the rule into a place for a while."""
    if place == CLEAN:
        with based_on(CheckingClean):
            yield
    elif place == SAVE:
        with based_on(CheckingSave):
            yield
    elif place == SIGNAL:
        pre_save.connect(check_seat, sender=Enrollment)
        try:
            yield
        finally:
            pre_save.disconnect(check_seat, sender=Enrollment)
    else:
        with monkeypatch.context() as patch:
            if place == MANAGER:
                patch.setattr(Enrollment.objects, "_queryset_class", CheckingQuerySet)
            yield


def outcome(place: str, way: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return whether a place held against a way to write, held with a status 500, or was got around."""
    result = "held"
    with transaction.atomic():
        case = Case(place, client)
        with rule_in(place, monkeypatch):
            try:
                with transaction.atomic():
                    WAYS[way](case)
            except CannotEnroll:
                # Who calls the service expects this exception; nobody else who answers a request does.
                if way in ("the page", "the API", "the admin") and place != SERVICE:
                    result = "500"
            except IntegrityError:
                assert place == CONSTRAINT
        if case.broken():
            result = "around"
        transaction.set_rollback(True)
    return result


@pytest.fixture
def matrix(db: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """What became of each way to write against each place of the rule."""
    return {place: {way: outcome(place, way, client, monkeypatch) for way in WAYS} for place in PLACES}


@pytest.mark.databases("sqlite", "postgresql")
def test_which_rule_each_way_gets_around(matrix: dict[str, dict[str, str]], record: Recorder) -> None:
    def ways(place: str, result: str) -> list[str]:
        return [way for way, found in matrix[place].items() if found == result]

    table = "| The rule stands in | It holds for | It is got around by |\n| --- | --- | --- |\n"
    for place in PLACES:
        held = ways(place, "held") + [f"{way} (status 500)" for way in ways(place, "500")]
        around = ways(place, "around")
        cells = ["all eight" if len(cell) == len(WAYS) else ", ".join(cell) or "nothing" for cell in (held, around)]
        table += f"| {place} | {cells[0]} | {cells[1]} |\n"
    record("separation_of_concerns_ways.md", table)
    assert ways(CONSTRAINT, "around") == []
    assert all(ways(place, "around") for place in PLACES[:-1]), "every other place is got around"
    assert all(matrix[place][way] == "around" for place in PLACES[:-1] for way in ("`update()`", "SQL"))
    assert matrix[SERVICE]["the admin"] == "around", "a plain admin oversells a course"
    assert matrix[CLEAN]["the API"] == "around"
    assert matrix[SIGNAL]["`learners.add()`"] == "around"


@pytest.mark.databases("postgresql")
def test_a_trigger_holds_for_all(db: None, client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute((ROOT / "lab/practices/separation_of_concerns.sql").read_text(encoding="utf-8"))
    for write in WAYS.values():
        with transaction.atomic():
            case = Case("Trigger", client)
            # Nobody on the way expects it: the page, the API and the admin let it through as it is.
            with pytest.raises(IntegrityError, match="the course is full"), transaction.atomic():
                write(case)
            transaction.set_rollback(True)
    case = Case("Trigger", client)
    seat = case.course.enrollments.get()
    seat.grade = 90
    seat.save()
    Course.objects.filter(pk=case.course.pk).update(seats=2)
    esi = Learner.objects.create(name="Esi", email="esi@example.com")
    two = [Enrollment(learner=learner, course=case.course) for learner in (case.ama, esi)]
    with pytest.raises(IntegrityError), transaction.atomic():
        Enrollment.objects.bulk_create(two)  # one statement, and one seat for two rows
    Enrollment.objects.bulk_create(two[:1])
    assert case.course.enrollments.count() == 2


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_the_trigger_counts_when_the_other_is_done(level: str, client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute((ROOT / "lab/practices/separation_of_concerns.sql").read_text(encoding="utf-8"))
    try:
        case = Case("Trigger", client)
        Enrollment.objects.filter(course=case.course).delete()
        with people("Ama", "Kofi") as (ama, kofi):
            kofi.sql(f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}")
            ama.do(transaction.set_autocommit, False)
            ama.do(case.create)
            second = kofi.start(lambda: Enrollment.objects.create(learner=case.kofi, course=case.course))
            assert kofi.waiting, "for the lock on the course"
            ama.do(transaction.commit)
            reason = second.exception(LIMIT)
        refused = isinstance(reason, IntegrityError) and "the course is full" in str(reason)
        assert refused == (level == "READ COMMITTED"), reason
        assert case.course.enrollments.count() == (1 if refused else 2)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse_full CASCADE")


@pytest.mark.parametrize("place", PLACES)
def test_a_free_seat_is_given_every_way(place: str, db: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for way, write in WAYS.items():
        with transaction.atomic():
            case = Case(place, client, free=True)
            with rule_in(place, monkeypatch):
                write(case)
            assert case.course.enrollments.filter(learner=case.ama).count() == 1, way
            transaction.set_rollback(True)


@pytest.fixture
def case(db: None, client: Client) -> Case:
    """A course whose only seat Kofi has, and Ama."""
    return Case(SERVICE, client)


def test_two_forms_are_valid_at_once(case: Case, session: Session) -> None:
    Enrollment.objects.filter(course=case.course).delete()
    session(
        "separation_of_concerns_race.pycon",
        CheckingForm=CheckingForm,
        ama={"learner": case.ama.pk, "course": case.course.pk},
        kofi={"learner": case.kofi.pk, "course": case.course.pk},
        course=case.course,
    )
    assert case.course.enrollments.count() == case.course.seats + 1


def test_the_service_counts_again(case: Case) -> None:
    Enrollment.objects.filter(course=case.course).delete()
    forms = [SeatForm({"learner": learner.pk, "course": case.course.pk}) for learner in (case.ama, case.kofi)]
    assert all(form.is_valid() for form in forms)
    enroll(**forms[0].cleaned_data)
    with pytest.raises(CannotEnroll, match="full"):
        enroll(**forms[1].cleaned_data)


@pytest.mark.wrong("lab/practices/separation_of_concerns.py:wrong_save")
def test_a_full_course_cannot_be_graded(case: Case, session: Session) -> None:
    seat = case.course.enrollments.get()
    with based_on(CheckingSave):
        session("separation_of_concerns_grade.pycon", seat=seat)
    seat.save()
    assert case.course.enrollments.get().grade == 90


def test_a_full_course_cannot_be_graded_with_the_other_two_either(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    seat = case.course.enrollments.get()
    with rule_in(SIGNAL, monkeypatch), pytest.raises(CannotEnroll):
        seat.save()
    url = f"/admin/academy/enrollment/{seat.pk}/change/"
    case.client.force_login(User.objects.create_superuser("head@example.com"))
    data = {"learner": case.kofi.pk, "course": case.course.pk, "enrolled_on": DAY, "grade": 90}
    with based_on(CheckingClean):
        assert b"the course is full" in case.client.post(url, data).content
    assert case.client.post(url, data).status_code == 302


def test_in_the_views_the_rule_is_only_called() -> None:
    for path in ("lab/django_app/views.py", "lab/rest_apis/views.py", "lab/graphql_api/mutations.py"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert "enroll(learner, " in text, path
        assert ".seats" not in text, path
