"""One set of tests for every stage of a refactoring, and for each stage a test that was impossible before it."""

from __future__ import annotations

import ast
import datetime
import json
import smtplib
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from lab.academy.models import Certificate, Course, Enrollment, Learner
from lab.academy.tasks import issue_certificates
from lab.python.refactoring import (
    inverted,
    opened,
    overdone,
    promised,
    segregated,
    single,
    start,
)
from lab.python.refactoring.promised import Email, NotSent, PrintRoom, Sender, WrongPrintRoom
from lab.python.refactoring.segregated import Seat
from lab.python.refactoring.single import judge, letter
from scripts.pages import ROOT
from tests.recording.code import lines_of_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from tests.recording.files import Recorder

    Session = Callable[..., None]

STAGES = [start, single, inverted, opened, promised, segregated, overdone]
DAY = datetime.date(2026, 11, 23)


@pytest.fixture
def course(db: None) -> Iterator[Course]:
    """A course that Ama passed with distinction and Kofi passed; Esi did not, and Yaw has no grade."""
    course = Course.objects.create(title="Databases", slug="databases", starts_on=DAY, ends_on=DAY)
    for name, grade in (("Esi", 79), ("Ama", 90), ("Yaw", None), ("Kofi", 80)):
        learner = Learner.objects.create(name=name, email=f"{name.lower()}@example.com")
        Enrollment.objects.create(course=course, learner=learner, grade=grade)
    with time_machine.travel("2026-11-23T09:00Z"):
        yield course


def no_mail_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the mail server refuse an address."""
    send = EmailBackend.send_messages

    def refuse(self: EmailBackend, messages: Any) -> int:
        if messages[0].to == [address]:
            raise smtplib.SMTPRecipientsRefused({address: (550, b"unknown")})
        return send(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", refuse)


# The tests that every stage passes


# --8<-- [start:same]
@pytest.mark.parametrize("stage", STAGES)
def test_who_passed_gets_a_certificate(stage: ModuleType, course: Course) -> None:
    report = stage.issue(course, "csv")
    assert report == (
        "Ama,passed with distinction\n"
        "Esi,not passed\n"
        "Kofi,passed\n"
        "Yaw,no grade yet\n"
    )  # fmt: skip
    assert Certificate.objects.count() == 2
    assert [message.to for message in mail.outbox] == [
        ["ama@example.com"],
        ["kofi@example.com"],
    ]
    assert mail.outbox[1].body == "Kofi passed: Databases\nIssued on 23 November 2026"


# --8<-- [end:same]


@pytest.mark.parametrize("stage", STAGES)
def test_nobody_gets_two(stage: ModuleType, course: Course) -> None:
    stage.issue(course)
    assert stage.issue(course) == "Esi: not passed\nYaw: no grade yet\n"
    assert (Certificate.objects.count(), len(mail.outbox)) == (2, 2)


@pytest.mark.parametrize("stage", STAGES)
def test_a_refused_letter_stands_in_the_report(
    stage: ModuleType, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_mail_for("ama@example.com", monkeypatch)
    assert stage.issue(course).splitlines()[:3] == [
        "Ama: passed with distinction, not mailed",
        "Esi: not passed",
        "Kofi: passed",
    ]
    assert (Certificate.objects.count(), len(mail.outbox)) == (2, 1)
    monkeypatch.undo()
    assert stage.issue(course) == "Esi: not passed\nYaw: no grade yet\n", "and is never sent again"


@pytest.mark.parametrize("stage", STAGES)
def test_an_unknown_report_is_refused_before_anything_is_issued(stage: ModuleType, course: Course) -> None:
    with pytest.raises(ValueError, match="kind html"):
        stage.issue(course, "html")
    assert not Certificate.objects.exists()


@pytest.mark.parametrize("stage", STAGES)
def test_the_worker_certifies_the_same_people(stage: ModuleType, course: Course) -> None:
    certified = Certificate.objects.values_list("enrollment", flat=True)
    stage.issue(course)
    issued = set(certified)
    Certificate.objects.all().delete()
    assert issue_certificates(course.pk) == 2
    assert set(certified) == issued


def test_the_start(course: Course, session: Session) -> None:
    session("refactoring_start.pycon", issue=start.issue, course=course, mail=mail)


# What each step made possible


# --8<-- [start:single]
@pytest.mark.parametrize(
    ("grade", "expected"),
    [
        (None, (False, "no grade yet")),
        (0, (False, "not passed")),
        (79, (False, "not passed")),
        (80, (True, "passed")),
        (89, (True, "passed")),
        (90, (True, "passed with distinction")),
    ],
)
def test_the_rule(grade: int | None, expected: tuple[bool, str]) -> None:
    assert judge(grade) == expected


# --8<-- [end:single]


def test_before_the_first_step_the_rule_needs_a_database() -> None:
    assert not hasattr(start, "judge")
    with pytest.raises((RuntimeError, ValueError)):  # no database in this test, and no key
        start.issue(Course(title="Databases"))
    assert letter("Ama", "passed", "Python", DAY) == "Ama passed: Python\nIssued on 23 November 2026"


# --8<-- [start:inverted]
def test_a_server_that_is_down_stops_nobody(course: Course) -> None:
    asked = []

    def down(address: str, text: str) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    report = inverted.issue(course, send=down)
    assert report.count("not mailed") == len(asked) == 2


# --8<-- [end:inverted]


def test_before_the_second_step_nothing_can_be_handed_in(course: Course) -> None:
    handed_in: dict[str, Any] = {"send": print}
    with pytest.raises(TypeError, match="send"):
        single.issue(course, **handed_in)


# --8<-- [start:opened]
def test_a_new_report_needs_no_edit(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(opened.REPORTS, "json", lambda rows: json.dumps(dict(rows)))
    assert json.loads(opened.issue(course, "json"))["Kofi"] == "passed"


# --8<-- [end:opened]


def test_before_the_third_step_a_new_report_is_refused(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(opened.REPORTS, "json", lambda rows: json.dumps(dict(rows)))
    with pytest.raises(ValueError, match="json"):
        inverted.issue(course, "json")


class Broken:
    """A file system that is full, and a mail server that is down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def stop(self) -> None:
        """Let nothing go out from now on."""

        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        self.monkeypatch.setattr("pathlib.Path.open", fail)
        self.monkeypatch.setattr(EmailBackend, "send_messages", fail)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Broken:
    """What letters go out into."""
    return Broken(monkeypatch)


# --8<-- [start:promised]
def check_the_promise(sender: Sender, world: Broken) -> None:
    sender.send("ama@example.com", "Ama passed")
    world.stop()
    with pytest.raises(NotSent):
        sender.send("kofi@example.com", "Kofi passed")


@pytest.mark.parametrize("kind", ["email", "print room"])
def test_every_sender_keeps_the_promise(kind: str, tmp_path: Path, world: Broken) -> None:
    senders: dict[str, Sender] = {"email": Email(), "print room": PrintRoom(tmp_path)}
    check_the_promise(senders[kind], world)


# --8<-- [end:promised]


@pytest.mark.wrong("lab/python/refactoring/promised.py:wrong_quiet")
def test_a_sender_that_never_complains_makes_the_report_lie(course: Course, tmp_path: Path, world: Broken) -> None:
    with pytest.raises(pytest.fail.Exception):
        check_the_promise(WrongPrintRoom(tmp_path), world)
    folder = tmp_path / "missing"
    honest = promised.issue(course, sender=PrintRoom(folder))
    Certificate.objects.all().delete()
    quiet = promised.issue(course, sender=WrongPrintRoom(folder))
    assert honest.count("not mailed") == 2
    assert quiet.splitlines()[0] == "Ama: passed with distinction"
    assert not folder.exists()


def test_letters_for_the_print_room(course: Course, tmp_path: Path) -> None:
    promised.issue(course, sender=PrintRoom(tmp_path))
    assert (tmp_path / "ama@example.com.txt").read_text(encoding="utf-8").startswith("Ama passed with distinction")
    assert not mail.outbox


def test_an_address_is_no_path_and_no_letter_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for text in ("first", "second"):
        PrintRoom(folder).send("../yaw@example.com", text)
    (letters,) = folder.iterdir()
    assert letters.name == "..%2Fyaw@example.com.txt"
    assert letters.read_text(encoding="utf-8") == "first\nsecond\n"


def test_a_sender_that_counts_as_false_is_still_the_sender(course: Course) -> None:
    class Counting:
        def __init__(self) -> None:
            self.sent: list[tuple[str, str]] = []

        def __len__(self) -> int:
            return len(self.sent)

        def send(self, address: str, text: str) -> None:
            self.sent.append((address, text))

    for stage in (promised, segregated):
        sender = Counting()
        Certificate.objects.all().delete()
        stage.issue(course, sender=sender)
        assert len(sender) == 2
    assert not mail.outbox


def test_before_the_fourth_step_a_sender_with_another_error_stops_everything(course: Course) -> None:
    def refused(address: str, text: str) -> None:
        raise NotSent(address)

    with pytest.raises(NotSent):
        opened.issue(course, send=refused)
    assert Certificate.objects.count() == 1, "the others never had a turn"


# --8<-- [start:segregated]
class Paper:
    """A register and a sender in memory."""

    title = "Databases"

    def __init__(self, *seats: Seat) -> None:
        self.seats = seats
        self.done: list[str] = []

    def open_seats(self) -> tuple[Seat, ...]:
        """Return the enrollments."""
        return self.seats

    def certify(self, seat: Seat) -> datetime.date:
        """Note it."""
        self.done.append(f"certified {seat.name}")
        return DAY

    def send(self, address: str, text: str) -> None:
        """Note it."""
        self.done.append(f"sent to {address}: {text.splitlines()[0]}")


def test_without_a_database_stored_before_sent() -> None:
    paper = Paper(Seat(1, "Ama", "ama@example.com", 85))
    assert segregated.issue_from(paper, paper) == [("Ama", "passed")]
    assert paper.done == ["certified Ama", "sent to ama@example.com: Ama passed: Databases"]


# --8<-- [end:segregated]


def test_before_the_fifth_step_issuing_needs_rows() -> None:
    with pytest.raises((RuntimeError, ValueError)):
        promised.issue(Course(title="Databases"), sender=Paper())
    names = {name for name in dir(Course) if not name.startswith("_")}
    assert len(names) > 40
    assert len({name for name in dir(segregated.Register) if not name.startswith("_")}) <= 3


def test_a_test_that_patches_the_inside_fails_at_step_three(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    for stage in (start, single, inverted):
        monkeypatch.setattr(stage, "send_mail", lambda *args: sent.append(args))
        stage.issue(course)
        Certificate.objects.all().delete()
    assert len(sent) == 6
    assert not mail.outbox
    with pytest.raises(AttributeError, match="send_mail"):
        monkeypatch.setattr(opened, "send_mail", print)
    assert issubclass(smtplib.SMTPException, OSError)


# What it costs

FOLDER = "lab/python/refactoring"
SINGLE = {"single": ["rule", "letter", "reports"]}
PARTS: dict[str, dict[str, list[str]]] = {
    "at the start": {"start": ["issue"]},
    "1, S: rule and text apart": {"single": ["rule", "letter", "reports", "issue"]},
    "2, D: the sender handed in": {**SINGLE, "inverted": ["send", "issue"]},
    "3, O: reports in a table": {**SINGLE, "inverted": ["send"], "opened": ["table", "issue"]},
    "4, L: senders with a promise": {**SINGLE, "opened": ["table"], "promised": ["senders", "issue"]},
    "5, I: a narrow register": {
        **SINGLE,
        "opened": ["table"],
        "promised": ["senders"],
        "segregated": ["needs", "issue"],
    },
    "too much": {"single": ["reports"], "overdone": ["all"]},
}


def names_of(kind: type[ast.AST], parts: dict[str, list[str]]) -> int:
    """Return how many classes or functions the sections define."""
    found = 0
    for module, sections in parts.items():
        text = (ROOT / FOLDER / f"{module}.py").read_text(encoding="utf-8")
        for section in sections:
            body = text.split(f"[start:{section}]")[1].split(f"# --8<-- [end:{section}]")[0]
            found += sum(isinstance(node, kind) for node in ast.walk(ast.parse(body)))
    return found


def test_the_sizes(record: Recorder) -> None:
    rows = ["| Version | Lines of code | Classes | Functions and methods |", "| --- | ---: | ---: | ---: |"]
    sizes = {}
    for shown, parts in PARTS.items():
        lines = sum(lines_of_code(f"{FOLDER}/{m}.py", section) for m, names in parts.items() for section in names)
        sizes[shown] = (lines, names_of(ast.ClassDef, parts), names_of(ast.FunctionDef, parts))
        rows.append(f"| {shown} | {' | '.join(map(str, sizes[shown]))} |")
    first, second, _, _, _, fifth, too_much = sizes.values()
    assert first[1] == second[1] == 0
    assert second[0] - first[0] == 4
    assert too_much[0] > 3 * first[0]
    assert too_much[0] > 2.5 * second[0]
    assert fifth[0] < too_much[0]
    assert too_much[1] > 12
    record("refactoring_sizes.md", "\n".join(rows))


def test_of_the_interfaces_of_too_much_one_has_two_kinds() -> None:
    kinds = [value for name, value in vars(overdone).items() if name.startswith("Abstract")]
    children = {kind.__name__: len(kind.__subclasses__()) for kind in kinds}
    assert len(children) == 5
    assert [name for name, number in children.items() if number > 1] == ["AbstractReportWriter"]
