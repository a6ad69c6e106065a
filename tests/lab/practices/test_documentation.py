"""One sentence from the docstring to the reader of the API, and docstrings that lie."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.practices import documentation, documentation_samples
from lab.practices.documentation import borrowed, seats_left
from lab.practices.documentation_samples import AFTER, BEFORE, enroll_by_email, passed
from lab.rest_apis.views import CourseViewSet, EnrollmentViewSet
from scripts.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.recording.files import Recorder


def described(patterns: list[Any] | None = None) -> dict[str, Any]:
    """Return what the lab's generator says of the API, or of other routes."""
    version = None if patterns else "v1"
    found: dict[str, Any] = SchemaGenerator(patterns=patterns, api_version=version).get_schema(public=True)
    return found


def test_the_path_of_a_sentence(session: Callable[..., None]) -> None:
    api = described()
    session(
        "documentation_path.pycon",
        CourseViewSet=CourseViewSet,
        EnrollmentViewSet=EnrollmentViewSet,
        Enrollment=Enrollment,
        description=api["paths"],
        enrollment_schema=api["components"]["schemas"]["Enrollment"],
    )
    said = api["paths"]["/api/v1/courses/{slug}/publish/"]["post"]["description"]
    assert said == inspect.getdoc(CourseViewSet.publish)
    help_text = Enrollment._meta.get_field("grade").help_text
    assert api["components"]["schemas"]["Enrollment"]["properties"]["grade"]["description"] == help_text


@pytest.mark.django_db(transaction=True)
def test_the_api_says_it_over_the_wire(wire: Callable[..., Any], record: Recorder) -> None:
    exchange = wire("OPTIONS", "/api/v1/courses/")
    assert exchange.status == 200
    assert inspect.getdoc(CourseViewSet) in exchange.body


# Docstrings that lie


def examples(function: Callable[..., Any], names: dict[str, Any]) -> tuple[int, str]:
    """Run the examples of a docstring; return how many failed, and the report."""
    [found] = doctest.DocTestFinder().find(function, function.__name__, globs=names)
    assert found.examples
    found.filename = "documentation_samples.py"
    found.lineno = None
    report = io.StringIO()
    result = doctest.DocTestRunner(verbose=False).run(found, out=report.write)
    return result.failed, report.getvalue()


@pytest.mark.wrong("lab/practices/documentation_samples.py:wrong_passed")
def test_an_example_that_lies(record: Recorder) -> None:
    assert examples(seats_left, vars(documentation)) == (0, "")
    failed, report = examples(passed, vars(documentation_samples))
    assert failed == 1
    report = report[report.index("Failed example:") :]
    record("documentation_doctest.txt", report)
    assert passed(61)
    assert not passed(60)


@pytest.mark.wrong("lab/practices/documentation_samples.py:wrong_parameters")
@pytest.mark.slow
def test_a_parameter_that_is_not_there(academy: None, tmp_path: Path, shell: Callable[..., None]) -> None:
    shutil.copy(ROOT / "lab/practices/documentation_samples.py", tmp_path)
    shell("documentation_parameters.console", RUFF_NO_CACHE="true")
    kofi, course = Learner.objects.get(name="Kofi"), Course.objects.get(slug="testing")
    Enrollment.objects.filter(learner=kofi, course=course).delete()
    assert enroll_by_email(kofi.email, "testing").learner == kofi
    with pytest.raises(TypeError, match="notify"):
        enroll_by_email(kofi.email, "testing", notify=True)  # type: ignore[call-arg]


@pytest.mark.slow
def test_no_other_docstring_of_this_repository_names_such_a_parameter() -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--preview", "--select", "DOC102", "--output-format", "concise"]
    found = subprocess.run([*ruff, "lab", "scripts", "tests"], cwd=ROOT, capture_output=True, text=True, check=False)
    named = [line for line in found.stdout.splitlines() if "DOC102" in line]
    assert len(named) == 1, found.stdout
    assert named[0].startswith("lab/practices/documentation_samples.py")


# --8<-- [start:promises]
@pytest.mark.parametrize("reason", ["a draft", "full", "in it"])
def test_enroll_refuses_what_its_docstring_says(academy: None, reason: str) -> None:
    course = Course.objects.get(slug="python")
    ama = Learner.objects.get(name="Ama")
    enrolled = Enrollment.objects.filter(course=course, learner=ama)
    if reason == "in it":
        enrolled.get_or_create(course=course, learner=ama)
    else:
        enrolled.delete()
        seats = max(1, course.enrollments.count()) if reason == "full" else 1000
        draft = reason == "a draft"
        Course.objects.filter(pk=course.pk).update(seats=seats, published=not draft)
    promise = re.search("CannotEnroll: (.+)", enroll.__doc__ or "")
    assert promise is not None
    assert reason in promise[1]
    with pytest.raises(CannotEnroll):
        enroll(ama, course)


# --8<-- [end:promises]


def test_an_operation_in_borrowed_words(record: Recorder) -> None:
    lines = list(borrowed(described(BEFORE)))
    record("documentation_borrowed.txt", "\n".join(lines))
    assert [line.split()[0] for line in lines] == ["POST", "PATCH", "DELETE"]
    with contextlib.redirect_stderr(io.StringIO()):
        after = described(AFTER)
    assert list(borrowed(after)) == []
    assert "no waiting list" in after["paths"]["/enrollments/"]["post"]["description"]


def test_what_the_descriptions_promise_holds(people: Any) -> None:
    """No waiting list, the grade goes back to null, the seat comes back."""
    teacher = people.client(people.teacher)
    kofi = people.client(people.kofi)
    enrollment = people.python.enrollments.exclude(grade=None).first() or people.python.enrollments.first()
    url = f"/api/v1/enrollments/{enrollment.pk}/"
    assert teacher.patch(url, {"grade": None}).json()["grade"] is None
    Enrollment.objects.filter(learner__user=people.kofi, course=people.python).delete()
    Course.objects.filter(pk=people.python.pk).update(seats=people.python.enrollments.count() + 1)
    made = kofi.post("/api/v1/enrollments/", {"course": "python"})
    assert made.status_code == 201
    assert kofi.post("/api/v1/enrollments/", {"course": "python"}).status_code == 409
    before = people.python.enrollments.count()
    assert kofi.delete(f"/api/v1/enrollments/{made.json()['id']}/").status_code == 204
    assert people.python.enrollments.count() == before - 1
