"""Assignment binds a name and copies nothing; what is shared is seen through every name."""

from __future__ import annotations

import copy
import gc
import json
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core import checks
from django.db import models
from django.test.utils import isolate_apps

from lab.academy.models import Course as AcademyCourse
from lab.academy.models import Lesson
from lab.python.names import Course, add, draft, replace, same_course, wait
from lab.python.names_samples import WrongCourse, wrong_draft, wrong_same_course, wrong_wait
from scripts.pages import ROOT
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

    Session = Callable[..., None]

SAMPLES = ROOT / "lab/python/names_samples.py"


def test_two_names_of_one_list(session: Session, record: Recorder) -> None:
    session("names_bind.pycon")
    record(
        "names.svg",
        draw(
            (ROOT / "lab/python/diagrams/names.dot").read_text(encoding="utf-8"),
            title="Names and the objects they are bound to",
            description="After the first assignment both names lead to one list; after the second, each to its own.",
        ),
    )


def test_two_objects_of_one_row(academy: None, session: Session) -> None:
    session("names_same.pycon", Course=AcademyCourse)


@pytest.mark.wrong("lab/python/names_samples.py:wrong_same_course")
def test_identity_of_numbers_is_an_accident(session: Session) -> None:
    session("names_ids.pycon", wrong_same_course=wrong_same_course, same_course=same_course)


def test_the_interpreter_keeps_small_numbers() -> None:
    largest = 1024 if sys.version_info >= (3, 15) else 256
    assert wrong_same_course(int(str(largest)), int(str(largest)))
    assert not wrong_same_course(int(str(largest + 1)), int(str(largest + 1)))


def test_what_changes_in_place(session: Session) -> None:
    session("names_change.pycon")


def test_arguments_are_bound_like_names(session: Session) -> None:
    session("names_arguments.pycon", add=add, replace=replace)


@pytest.fixture
def fresh_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the wrong function an empty list again."""
    monkeypatch.setattr(wrong_wait, "__defaults__", ([],))


@pytest.mark.wrong("lab/python/names_samples.py:wrong_wait")
def test_a_default_is_made_once(fresh_default: None, session: Session) -> None:
    session("names_default.pycon", wrong_wait=wrong_wait, wait=wait)
    line = ["Esi"]
    assert wait("Ama", line) is line == ["Esi", "Ama"]


@pytest.mark.wrong("lab/python/names_samples.py:wrong_wait")
def test_ruff_finds_what_is_shared(shell: Callable[..., None], tmp_path: Path) -> None:
    shutil.copy(SAMPLES, tmp_path)
    shell("names_ruff.console")


def ruff(code: str, *arguments: str) -> set[str]:
    """Return the rules that ruff, without the settings of this project, finds broken."""
    command = [str(Path(sys.executable).parent / "ruff"), "check", "--isolated", "--output-format", "json"]
    done = subprocess.run([*command, *arguments, "-"], input=code, capture_output=True, text=True, check=False)
    return {found["code"] for found in json.loads(done.stdout)}


def test_the_rules_that_the_page_names() -> None:
    when = "import datetime\n\n\ndef enroll(on=datetime.date.today()): ...\n"
    assert "B008" in ruff(when, "--select", "B")
    with pytest.warns(SyntaxWarning, match="literal"):
        compile('grade is "A"', "sample", "eval")
    assert "F632" in ruff('def passed(grade):\n    return grade is "A"\n')


@isolate_apps("lab.academy")
def test_django_finds_a_shared_default() -> None:
    class Options(models.Model):
        colors = models.JSONField(default={})

        class Meta:
            app_label = "academy"

    (found,) = [message for message in Options.check(databases=[]) if isinstance(message, checks.Warning)]
    assert found.id == "fields.E010"


@pytest.mark.wrong("lab/python/names_samples.py:wrong_draft")
def test_a_shallow_copy_shares_what_is_inside(session: Session) -> None:
    session("names_copies.pycon", wrong_draft=wrong_draft, draft=draft)


def test_a_deep_copy_follows_every_reference() -> None:
    course = Course("Python")
    learners = [Learner(course) for _ in range(1000)]
    copies: dict[int, object] = {}
    copy.deepcopy(learners[0], copies)
    assert sum(isinstance(copied, Course | Learner) for copied in copies.values()) == 1001


class Learner:
    """Somebody who knows her course, and whom her course knows."""

    def __init__(self, course: Any) -> None:
        self.course = course
        course.learners.append(self)


def test_an_empty_argument_is_no_missing_one() -> None:
    line: list[str] = []
    assert wait("Ama", line) is line


def test_what_can_be_a_key(db: None, session: Session) -> None:
    session("names_keys.pycon", Lesson=Lesson)


def test_hashes_of_text_differ_between_processes() -> None:
    seen = {
        subprocess.run([sys.executable, "-c", "print(hash('Ama'))"], env={}, capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(seen) == 2


def test_an_object_goes_with_its_last_name(session: Session) -> None:
    session("names_del.pycon", Course=Course, weakref=weakref)


def test_a_cycle_waits_for_the_collector(session: Session) -> None:
    gc.disable()
    try:
        session("names_cycle.pycon", Course=Course, gc=gc, weakref=weakref)
    finally:
        gc.enable()


@pytest.mark.wrong("lab/python/names_samples.py:wrong_course")
def test_a_list_of_the_class_is_shared(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    monkeypatch.setattr(WrongCourse, "learners", [])
    session("names_class.pycon", WrongCourse=WrongCourse, Course=Course)
