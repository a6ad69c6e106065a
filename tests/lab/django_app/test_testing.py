# ruff: noqa: D101, D102, PT009, PT027, SIM117  (unittest's way is part of the page)
"""Tests as the page on testing shows them, and the proof that they can fail."""

from __future__ import annotations

import datetime
import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as current_settings
from django.core import mail
from django.db import DataError, transaction
from django.test import RequestFactory, SimpleTestCase, TestCase, TransactionTestCase
from django.urls import reverse

from lab.academy import enrolling
from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner, User
from lab.django_app import testing
from lab.django_app.testing import join, make_course, make_learner, timetable
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from django.test import Client
    from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings
    from pytest_django.live_server_helper import LiveServer


# --8<-- [start:full_course]
@pytest.mark.django_db
def test_a_full_course_takes_nobody() -> None:
    course = make_course(seats=1)
    enroll(make_learner("Ama"), course)

    with pytest.raises(CannotEnroll, match="full"):
        enroll(make_learner("Kofi"), course)

    assert [one.learner.name for one in course.enrollments.all()] == ["Ama"]


# --8<-- [end:full_course]


def mutant(learner: Any, course: Course) -> Enrollment:
    """Enroll as ``enroll`` does, without looking at the seats."""
    return Enrollment.objects.create(learner=learner, course=course)


@pytest.mark.wrong("lab/django_app/testing.py:wrong_full_course")
def test_the_wrong_test_passes_without_the_rule(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    testing.wrong_test_a_full_course_takes_nobody()
    monkeypatch.setattr(testing, "enroll", mutant)
    testing.wrong_test_a_full_course_takes_nobody()


def test_the_right_test_fails_without_the_rule(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "enroll", mutant)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_a_full_course_takes_nobody()


# --8<-- [start:classes]
class Welcome(TestCase):
    course: Course
    ama: Learner

    @classmethod
    def setUpTestData(cls) -> None:
        cls.course = make_course(title="Pottery", seats=1)
        cls.ama = make_learner("Ama")

    def test_a_welcome_is_sent_after_the_commit(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            join(self.ama, self.course)
            self.assertEqual(mail.outbox, [])
        self.assertEqual([letter.to for letter in mail.outbox], [[self.ama.email]])

    def test_nothing_is_sent_to_who_gets_no_seat(self) -> None:
        join(make_learner("Kofi"), self.course)
        with self.captureOnCommitCallbacks() as callbacks:
            with self.assertRaisesMessage(CannotEnroll, "full"):
                join(self.ama, self.course)
        self.assertEqual(callbacks, [])


# --8<-- [end:classes]


class NoDatabase(SimpleTestCase):
    def test_a_query_is_an_error(self) -> None:
        with self.assertRaisesRegex(AssertionError, "not allowed in SimpleTestCase"):
            Course.objects.exists()


class Committing(TransactionTestCase):
    def test_what_waits_for_the_commit_runs(self) -> None:
        join(make_learner(), make_course())
        self.assertEqual(len(mail.outbox), 1)


class Shared(TestCase):
    """What a test does to the class's data, the next test does not see."""

    course: Course

    @classmethod
    def setUpTestData(cls) -> None:
        cls.course = make_course(title="Pottery")

    def test_one(self) -> None:
        self.assertEqual(self.course.title, "Pottery")
        self.course.title = "Weaving"
        self.course.save()

    def test_two(self) -> None:
        self.test_one()


def test_without_the_mark_a_query_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        Course.objects.exists()


def test_a_callback_never_runs_in_a_test_that_is_rolled_back(db: None) -> None:
    join(make_learner(), make_course())
    assert mail.outbox == []


def test_pytest_captures_callbacks_too(
    db: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        join(make_learner(), make_course())
    assert len(mail.outbox) == 1


# --8<-- [start:closed]
@pytest.mark.django_db
def test_a_visitor_is_sent_to_sign_in(client: Client, rf: RequestFactory) -> None:
    assert timetable(rf.get("/timetable/")).status_code == 200  # the view alone
    answer = client.get("/timetable/")  # the view behind its middleware
    assert answer.status_code == 302
    assert answer["location"].startswith(reverse("login"))


# --8<-- [end:closed]


# --8<-- [start:queries]
@pytest.mark.django_db
def test_more_courses_are_not_more_queries(
    client: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(User.objects.create_user("ama@example.com"))
    for count in (1, 5):
        for _ in range(count):
            make_course().lessons.create(position=1, title="First")
        with django_assert_num_queries(4):  # session, user, courses, lessons
            client.get("/timetable/")


# --8<-- [end:queries]


def test_the_count_fails_for_a_query_per_course(db: None, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    client.force_login(User.objects.create_user("ama@example.com"))
    make_course()
    make_course()
    with queries() as asked:
        client.get("/timetable/")
    assert len(asked.statements) == 4
    monkeypatch.setattr("django.db.models.query.QuerySet.prefetch_related", lambda self, *_: self)
    with queries() as asked:
        client.get("/timetable/")
    assert len(asked.statements) == 3 + 2


# --8<-- [start:time]
@pytest.mark.django_db
def test_an_enrollment_has_the_day_of_its_making(time_machine: Any) -> None:
    time_machine.move_to("2026-12-31T23:30Z")
    enrollment = enroll(make_learner(), make_course())
    assert enrollment.enrolled_on == datetime.date(2026, 12, 31)


# --8<-- [end:time]


def test_the_day_is_that_of_the_current_time_zone(db: None, time_machine: Any, settings: Settings) -> None:
    settings.TIME_ZONE = "Africa/Johannesburg"
    time_machine.move_to("2026-12-31T23:30Z")
    assert enroll(make_learner(), make_course()).enrolled_on == datetime.date(2027, 1, 1)


LIMIT = current_settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def test_a_setting_copied_at_import_stays(settings: Settings) -> None:
    before = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1
    assert current_settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 1
    assert before == LIMIT


def test_a_live_server_has_a_real_address(live_server: LiveServer, wire: Callable[..., Any]) -> None:
    assert live_server.url.startswith("http://127.0.0.1:")
    assert wire("GET", "/health/alive/").body == "alive"


# What follows differs from database to database; the page shows it as a table.


@pytest.mark.databases
def test_a_title_that_is_too_long(db: None, database: str) -> None:
    def store() -> None:
        make_course(title="x" * 121)

    if database == "sqlite":
        store()
        assert Course.objects.get().title == "x" * 121
    else:
        with pytest.raises(DataError, match="too long"):
            store()


@pytest.mark.databases("postgresql")
def test_the_error_of_a_title_that_is_too_long(db: None, session: Callable[..., None]) -> None:
    day = datetime.date(2026, 9, 1)
    session("testing_length.pycon", Course=Course, days={"starts_on": day, "ends_on": day})


@pytest.mark.databases
def test_contains(db: None, database: str) -> None:
    make_course(title="Databases")
    assert Course.objects.filter(title__contains="data").exists() is (database == "sqlite")


@pytest.mark.databases
def test_equals(db: None, database: str) -> None:
    make_course(title="Databases")
    assert Course.objects.filter(title="databases").exists() is (database == "mariadb")


@pytest.mark.databases
def test_a_row_lock_is_asked_for(db: None, database: str) -> None:
    with queries() as asked:
        enroll(make_learner(), make_course())
    assert any("FOR UPDATE" in statement for statement in asked.statements) is (database != "sqlite")


@pytest.mark.databases("postgresql", "mariadb")
def test_the_test_s_own_transaction_hides_that_there_is_none(db: None) -> None:
    course = make_course()
    assert testing.wrong_lock(course.slug) == course


@pytest.mark.wrong("lab/django_app/testing.py:wrong_lock")
@pytest.mark.databases("postgresql", "mariadb")
def test_with_real_commits_the_missing_transaction_shows(transactional_db: None) -> None:
    course = make_course()
    with pytest.raises(transaction.TransactionManagementError, match="outside of a transaction"):
        testing.wrong_lock(course.slug)


def lines_of_enroll(call: Callable[[], None]) -> set[int]:
    """Return the lines of the module of ``enroll`` that a call runs."""
    found: set[int] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename == enrolling.__file__:
            found.add(frame.f_lineno)
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(former)
    return found


def test_coverage_cannot_tell_the_two_tests_apart(db: None) -> None:
    wrong = lines_of_enroll(testing.wrong_test_a_full_course_takes_nobody)
    assert len(wrong) > 5
    assert wrong == lines_of_enroll(test_a_full_course_takes_nobody)
