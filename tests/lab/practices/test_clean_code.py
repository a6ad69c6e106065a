"""One view in three forms: the same answers, and what a measure of complexity says about each."""

from __future__ import annotations

import ast
import datetime
import json
import subprocess
import sys
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import AnonymousUser

from lab.academy.models import Certificate, Course, Enrollment, Learner, User
from lab.practices import clean_code
from lab.practices.clean_code import after, before, packed, row, rows, state_of, wrong_state_of
from scripts.pages import ROOT
from tests.recording.code import lines_of_code
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import RequestFactory

    from tests.recording.files import Recorder

SOURCE = ROOT / "lab/practices/clean_code.py"
GRADES = (None, *range(101))
DAY = datetime.date(2026, 11, 23)
BRANCHES = (ast.If, ast.For, ast.While, ast.With, ast.Try)


@pytest.fixture
def ama(db: None) -> User:
    """Ama, with one course for each grade there is, and one without a grade."""
    user = User.objects.create_user("ama@example.com")
    learner = Learner.objects.create(name="Ama", email=user.email, user=user)
    courses = Course.objects.bulk_create(
        Course(title=f"Course {n:03}", slug=f"course-{n}", starts_on=DAY, ends_on=DAY) for n, _ in enumerate(GRADES)
    )
    Enrollment.objects.bulk_create(
        Enrollment(learner=learner, course=course, grade=grade) for course, grade in zip(courses, GRADES, strict=True)
    )
    return user


# --8<-- [start:same]
STATES = (None, "passed", "failed", "open", "", "late")


@pytest.mark.parametrize("view", [after, packed])
def test_every_answer_is_the_same(view: Callable[..., Any], ama: User, rf: RequestFactory) -> None:
    users: tuple[User | AnonymousUser, ...] = (ama, AnonymousUser())
    for user, state in product(users, STATES):
        request = rf.get("/", {} if state is None else {"state": state})
        request.user = user
        was, now = before(request), view(request)
        assert (now.status_code, now.content) == (was.status_code, was.content)


# --8<-- [end:same]


def test_the_comparison_has_something_to_compare(ama: User, rf: RequestFactory) -> None:
    counts = {}
    for state in STATES:
        request = rf.get("/", {} if state is None else {"state": state})
        request.user = ama
        answer = before(request)
        counts[state] = (answer.status_code, len(json.loads(answer.content).get("courses", [])))
    assert counts == {
        None: (200, 102),
        "passed": (200, 21),
        "failed": (200, 80),
        "open": (200, 1),
        "": (400, 0),
        "late": (400, 0),
    }
    request.user = AnonymousUser()
    assert before(request).status_code == 401


def test_no_form_asks_more_often(ama: User, rf: RequestFactory) -> None:
    for view in (before, after, packed):
        request = rf.get("/")
        request.user = ama
        with queries() as sent:
            view(request)
        assert len(sent.statements) == 1, view.__name__


# --8<-- [start:rule]
@pytest.mark.parametrize(
    ("grade", "state"),
    [(None, "open"), (0, "failed"), (79, "failed"), (80, "passed"), (100, "passed")],
)
def test_the_rule_alone(grade: int | None, state: str) -> None:
    assert state_of(grade) == state


# --8<-- [end:rule]


def test_the_mark_of_the_academy_moves_one_of_them(
    ama: User, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Certificate, "FROM_GRADE", 70)
    passed = {}
    for view in (before, after, packed):
        request = rf.get("/", {"state": "passed"})
        request.user = ama
        passed[view.__name__] = len(json.loads(view(request).content)["courses"])
    assert passed == {"before": 21, "after": 31, "packed": 21}


def test_rows_need_no_database() -> None:
    enrollments = [Enrollment(course=Course(title="SQL"), grade=80), Enrollment(course=Course(title="Git"))]
    assert rows(enrollments, "open") == [{"course": "Git", "state": "open", "grade": None}]
    assert rows(enrollments, None) == [row(enrollment) for enrollment in enrollments]


@pytest.mark.wrong("lab/practices/clean_code.py:wrong_state_of")
def test_zero_is_a_grade(
    ama: User, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch, session: Callable[..., None]
) -> None:
    session("clean_code_zero.pycon", state_of=state_of, wrong_state_of=wrong_state_of)
    assert [grade for grade in GRADES if wrong_state_of(grade) != state_of(grade)] == [0]
    monkeypatch.setattr(clean_code, "state_of", wrong_state_of)
    with pytest.raises(AssertionError):
        test_every_answer_is_the_same(after, ama, rf)


# Complexity


def complexity() -> dict[str, int]:
    """Return what Ruff's C901 counts in each function of the page's module."""
    words = ["check", "--isolated", "--no-cache", "--select=C901", "--config=lint.mccabe.max-complexity=0"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *words, "--output-format=json", str(SOURCE)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = [message["message"].replace("`", "").split() for message in json.loads(done.stdout)]
    return {words[0]: int(words[-3].strip("(")) for words in found}


def depth(node: ast.AST) -> int:
    """Return how many blocks stand in each other at the deepest place."""
    below = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)
    return below + isinstance(node, BRANCHES)


@pytest.mark.slow
def test_what_the_number_says(record: Recorder) -> None:
    counted = complexity()
    functions = {
        node.name: depth(node) for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.FunctionDef)
    }
    parts = ("state_of", "row", "rows", "refuse", "after")
    forms = {"`before`": ("before",), "`after` and its parts": parts, "`packed`": ("packed",)}
    table = "| Form | Functions | C901, highest | C901, added up | Blocks in each other | Lines |\n"
    table += "| --- | ---: | ---: | ---: | ---: | ---: |\n"
    lines = {"`before`": ["before"], "`after` and its parts": ["state", "after"], "`packed`": ["packed"]}
    found = {}
    for name, members in forms.items():
        numbers = [counted[member] for member in members]
        size = sum(lines_of_code("lab/practices/clean_code.py", section) for section in lines[name])
        nested = max(functions[member] for member in members)
        found[name] = (max(numbers), sum(numbers), nested)
        table += f"| {name} | {len(members)} | {max(numbers)} | {sum(numbers)} | {nested} | {size} |\n"
    record("clean_code_complexity.md", table)
    was, parted, tight = found.values()
    assert was[0] >= 3 * parted[0], "the highest number fell to a third"
    assert was[1] - parted[1] <= 1, "added up, nearly all of it is still there"
    assert tight[:2] == (1, 1), "and the form that nobody can read has the best number there is"


# --8<-- [start:imports]
def test_the_academy_imports_no_chapter() -> None:
    for path in (ROOT / "lab/academy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                start = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                for name in node.names:
                    found = start + name.name
                    ours = found == "lab" or found.startswith("lab.")
                    assert not ours or found.startswith("lab.academy.")


# --8<-- [end:imports]
