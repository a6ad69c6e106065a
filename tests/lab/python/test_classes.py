"""What a class guards, what it shares, and what it does not hide."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

import pytest

from lab.academy import models
from lab.academy.enrolling import CannotEnroll
from lab.python import classes
from lab.python.classes import (
    Certificate,
    Course,
    Diploma,
    ExamGrade,
    Grade,
    GuardedCourse,
    Letter,
    Office,
    Roster,
    WrongExamGrade,
    WrongGrade,
    WrongRoster,
    letter,
)
from lab.python.classes_samples import CourseCard, WrongOffice
from tests.recording.code import lines_of_code
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    Session = Callable[..., None]


def test_a_course_guards_its_seats(session: Session) -> None:
    session("classes_course.pycon", Course=Course)
    course = Course("Python", seats=2)
    course.enroll("Ama")
    with pytest.raises(CannotEnroll, match="joined this course before"):
        course.enroll("Ama")
    course.enroll("Kofi")
    assert vars(Course("Other", 1))["_learners"] == []
    with pytest.raises(CannotEnroll, match="full"):
        course.enroll("Esi")
    assert course.free == 0


@pytest.mark.wrong("lab/python/classes.py:wrong_from_text")
def test_a_class_method_makes_an_object_of_the_class_that_was_asked(session: Session) -> None:
    session("classes_methods.pycon", **vars(classes))
    assert isinstance(ExamGrade.from_text("55"), ExamGrade)
    assert not isinstance(WrongExamGrade.from_text("55"), WrongExamGrade)
    wrong = WrongExamGrade.from_text("55")
    assert isinstance(wrong, WrongGrade)
    assert WrongExamGrade.pass_mark > wrong.points >= wrong.pass_mark
    assert Grade(50).passed()
    assert not Grade(49).passed()
    assert [ExamGrade(points).passed() for points in (59, 60)] == [False, True]


def test_an_attribute_becomes_a_property_and_its_callers_stay(session: Session) -> None:
    session("classes_property.pycon", Course=Course, GuardedCourse=GuardedCourse)
    course = GuardedCourse("Python", seats=2)
    course.seats = 1
    assert course.free == 1
    course.enroll("Ama")
    course.seats = 1
    assert course.free == 0
    with pytest.raises(ValueError, match="1 seats are taken"):
        course.seats = 0
    with pytest.raises(AttributeError):
        setattr(course, "free", 3)  # noqa: B010  (the property has no setter: mypy refuses an assignment)


@pytest.mark.wrong("lab/python/classes_samples.py:wrong_property")
def test_a_property_hides_a_query_for_each_row(academy: None) -> None:
    courses = list(models.Course.objects.all())
    with queries() as sent:
        free = [CourseCard(course).free for course in courses]
    assert len(sent.statements) == len(courses) == len(free) == 10


@pytest.mark.wrong("lab/python/classes.py:wrong_roster")
def test_a_list_has_more_doors_than_one(session: Session) -> None:
    session("classes_roster.pycon", WrongRoster=WrongRoster, Roster=Roster)
    wrong = WrongRoster(seats=0)
    doors: list[Callable[[], object]] = [
        lambda: wrong.extend(["Ama"]),
        lambda: wrong.insert(0, "Kofi"),
        lambda: wrong.__iadd__(["Esi"]),
        lambda: wrong.__setitem__(slice(0, 0), ["Efua"]),
    ]
    for taken, door in enumerate(doors, 1):
        door()
        assert len(wrong) == taken
    with pytest.raises(CannotEnroll):
        wrong.append("Yaw")
    roster = Roster(seats=1)
    roster.add("Ama")
    with pytest.raises(CannotEnroll):
        roster.add("Kofi")
    assert list(roster) == ["Ama"]


def test_two_underscores_keep_names_apart_and_hide_nothing(session: Session) -> None:
    session("classes_mangling.pycon", Diploma=Diploma)
    certificate = Certificate("Ama")
    assert certificate.issue() == "Ama passed, copy 1"
    assert certificate.issue() == "Ama passed, copy 2"


def test_a_class_and_a_function_that_do_the_same() -> None:
    assert Letter("Ama", "Python").render() == letter("Ama", "Python") == "Ama passed Python."
    size = {name: lines_of_code("lab/python/classes.py", name) for name in ("letter_class", "letter_function")}
    assert size == {"letter_class": 6, "letter_function": 2}


# --8<-- [start:outbox]
class Outbox:
    """A channel for tests: it keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, to: str, text: str) -> None:
        """Keep the text."""
        self.sent.append((to, text))


def test_who_gets_a_seat_is_welcomed_and_nobody_else() -> None:
    outbox = Outbox()
    office, course = Office(outbox), Course("Python", seats=1)
    office.admit("Ama", course)
    with pytest.raises(CannotEnroll):
        office.admit("Kofi", course)
    assert outbox.sent == [("Ama", "Welcome to Python")]


# --8<-- [end:outbox]


@pytest.mark.wrong("lab/python/classes_samples.py:wrong_office")
def test_an_office_that_makes_its_own_server_reaches_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def connect(self: smtplib.SMTP, host: str = "localhost", *_: object) -> tuple[int, bytes]:
        asked.append(host)
        if len(asked) == 1:
            raise ConnectionRefusedError
        return 220, b"ready"

    monkeypatch.setattr(smtplib.SMTP, "connect", connect)
    with pytest.raises(ConnectionRefusedError):
        WrongOffice()
    assert asked == ["mail.academy.example"]

    # With a server it works; a test has to replace two methods of the library for that.
    mails: list[str] = []
    monkeypatch.setattr(smtplib.SMTP, "send_message", lambda _, message: mails.append(message["Subject"]))
    WrongOffice().admit("Ama", Course("Python", 1))
    assert mails == ["Welcome to Python"]


def test_a_guarded_dictionary_has_more_doors_too() -> None:
    class Guarded(dict[str, int]):
        def __setitem__(self, key: str, value: int) -> None:
            raise ValueError(key)

    grades = Guarded(Ama=171)
    grades.update(Kofi=-1)
    grades.setdefault("Esi", 400)
    grades |= {"Efua": 999}
    assert len(grades) == 4
    with pytest.raises(ValueError, match="Yaw"):
        grades["Yaw"] = 50
