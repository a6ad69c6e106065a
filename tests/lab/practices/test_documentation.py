"""One sentence from the docstring to the reader of the API, and docstrings that lie."""

from __future__ import annotations

import contextlib
import datetime
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
    generator: Any = SchemaGenerator  # its methods have no types
    found: dict[str, Any] = generator(patterns=patterns, api_version=version).get_schema(public=True)
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
def test_the_api_says_it_over_the_wire(wire: Callable[..., Any]) -> None:
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
    esi = Learner.objects.create(name="Esi", email="esi.two@example.com")
    assert enroll_by_email(esi.email, "python").learner == esi
    with pytest.raises(TypeError, match="notify"):
        enroll_by_email(esi.email, "python", notify=True)  # type: ignore[call-arg]


@pytest.mark.slow
def test_no_other_docstring_of_this_repository_names_such_a_parameter() -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--preview", "--select", "DOC102", "--output-format", "concise"]
    found = subprocess.run([*ruff, "lab", "scripts", "tests"], cwd=ROOT, capture_output=True, text=True, check=False)
    named = [line for line in found.stdout.splitlines() if "extraneous-parameter" in line or "DOC102" in line]
    assert len(named) == 1, found.stdout
    assert named[0].startswith("lab/practices/documentation_samples.py")


# --8<-- [start:promises]
@pytest.mark.parametrize("reason", ["a draft", "full", "in it"])
def test_enroll_refuses_what_its_docstring_says(academy: None, reason: str) -> None:
    course = Course.objects.get(slug="python")
    esi = Learner.objects.create(name="Esi", email="esi.two@example.com")
    if reason == "in it":
        enroll(esi, course)
    elif reason == "full":
        course.seats = course.enrollments.count()
    else:
        course.published = False
    course.save()
    promise = re.search("CannotEnroll: (.+)", enroll.__doc__ or "")
    assert promise is not None
    assert reason in promise[1]
    with pytest.raises(CannotEnroll):
        enroll(esi, course)


# --8<-- [end:promises]


def test_an_operation_in_borrowed_words(record: Recorder) -> None:
    said = list(borrowed(described()))
    lines = [line for line in said if "/enrollments/" in line]
    record("documentation_borrowed.txt", "\n".join(lines))
    assert [line.split()[0] for line in lines] == ["POST", "PATCH", "DELETE"]
    assert list(borrowed(described(BEFORE)))
    with contextlib.redirect_stderr(io.StringIO()):
        after = described(AFTER)
    assert list(borrowed(after)) == []
    assert "no waiting list" in after["paths"]["/enrollments/"]["post"]["description"]


def test_what_the_descriptions_promise_holds(people: Any) -> None:
    """No waiting list, no second time, no draft; the grade goes back to null, the seat comes back."""
    teacher, kofi = people.client(people.teacher), people.client(people.kofi)
    when = datetime.date(2026, 5, 1)
    course = Course.objects.create(
        slug="go", title="Go", seats=1, published=True, starts_on=when, ends_on=when, teacher=people.teacher
    )
    made = kofi.post("/api/v1/enrollments/", {"course": "go"})
    assert made.status_code == 201
    assert kofi.post("/api/v1/enrollments/", {"course": "go"}).status_code == 409
    assert people.client(people.ama).post("/api/v1/enrollments/", {"course": "go"}).status_code == 409
    Course.objects.create(slug="draft", title="Draft", starts_on=when, ends_on=when)
    assert kofi.post("/api/v1/enrollments/", {"course": "draft"}).status_code == 400
    url = f"/api/v1/enrollments/{made.json()['id']}/"
    for grade in (88, None):
        assert teacher.patch(url, {"grade": grade}).json()["grade"] == grade
    assert kofi.delete(url).status_code == 204
    assert course.enrollments.count() == 0
