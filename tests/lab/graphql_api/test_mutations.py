"""What a mutation changes, what it refuses, and how it says so."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
import strawberry_django
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connections
from graphql import GraphQLError, parse, validate
from strawberry.extensions import MaskErrors
from strawberry.relay import to_base64

from lab.academy import enrolling
from lab.academy.models import Course, Enrollment
from lab.academy.models import Lesson as LessonRow
from lab.graphql_api.mutation_samples import masking, telling
from lab.graphql_api.queries import Query
from lab.graphql_api.schema import schema
from lab.graphql_api.types import Lesson
from tests.lab.graphql_api.operations import context, operation, shown
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

    from tests.lab.people import People
    from tests.recording.files import Recorder

    Ask = Callable[..., Any]

TYPING = {"courseSlug": "python", "position": 8, "title": "Typing"}


@pytest.mark.databases
def test_a_learner_takes_a_seat_once(people: People, ask: Ask) -> None:
    query, slug = operation("enroll.graphql"), {"slug": "docker"}
    mine = Enrollment.objects.filter(learner__user=people.ama, course__slug="docker")
    assert not mine.exists()
    taken = ask(query, slug, people.ama).json()["data"]["enroll"]
    assert (taken["__typename"], taken["course"]) == ("Enrollment", {"title": "Docker"})
    again = ask(query, slug, people.ama).json()["data"]["enroll"]
    assert again == {"__typename": "NotPossible", "message": "you have joined this course before"}
    assert mine.count() == 1, "the second time changed nothing"


def test_who_enrolls(people: People, ask: Ask) -> None:
    query = operation("enroll.graphql")
    hidden = ask(query, {"slug": "queues"}, people.ama).json()["data"]["enroll"]
    assert hidden == ask(query, {"slug": "cobol"}, people.ama).json()["data"]["enroll"], "a draft is not there"
    assert hidden["message"] == "there is no such course"
    for user, code in ((None, "UNAUTHENTICATED"), (people.teacher, "FORBIDDEN")):
        body = ask(query, {"slug": "docker"}, user).json()
        assert body["data"] is None
        assert body["errors"][0]["extensions"] == {"code": code}


def test_a_teacher_enters_no_draft_of_their_own(people: People, ask: Ask) -> None:
    Course.objects.filter(slug="queues").update(teacher=people.ama)
    found = ask(operation("enroll.graphql"), {"slug": "queues"}, people.ama).json()["data"]["enroll"]
    assert found["message"] == "the course is not open yet"


@pytest.mark.databases("postgresql")
def test_the_answers_of_add_lesson(people: People, ask: Ask, record: Recorder) -> None:
    query = operation("add_lesson.graphql")
    answers = {
        "mutations_added.json": TYPING,
        "mutations_invalid.json": {"courseSlug": "python", "position": -1, "title": ""},
        "mutations_taken.json": TYPING,
        "mutations_forbidden.json": TYPING | {"courseSlug": "django"},
    }
    for name, value in answers.items():
        record(name, shown(ask(query, {"input": value}, people.teacher).json()))


@pytest.mark.databases
def test_a_lesson_is_added_by_the_teacher_alone(people: People, ask: Ask) -> None:
    query = operation("add_lesson.graphql")
    added = ask(query, {"input": TYPING}, people.teacher).json()["data"]["addLesson"]
    assert added == {"__typename": "Lesson", "position": 8, "title": "Typing", "course": {"title": "Python"}}
    assert LessonRow.objects.get(course=people.python, position=8).minutes == 30, "the default of the input"
    taken = ask(query, {"input": TYPING}, people.teacher).json()["data"]["addLesson"]
    assert taken == {"__typename": "NotPossible", "message": "there is a lesson at this position"}
    wrong = ask(query, {"input": TYPING | {"position": -1, "title": ""}}, people.teacher).json()["data"]["addLesson"]
    assert [field["field"] for field in wrong["fields"]] == ["position", "title"]
    nowhere = ask(query, {"input": TYPING | {"courseSlug": "queues"}}, people.teacher).json()["data"]["addLesson"]
    assert nowhere["fields"] == [{"field": "courseSlug", "message": "There is no such course."}]
    for user, code in ((None, "UNAUTHENTICATED"), (people.ama, "FORBIDDEN")):
        body = ask(query, {"input": TYPING | {"position": 9}}, user).json()
        assert body["errors"][0]["extensions"] == {"code": code}
    assert not LessonRow.objects.filter(course=people.python, position=9).exists()


def test_input_of_the_wrong_type_never_reaches_the_resolver(people: People, ask: Ask) -> None:
    with queries() as sent:
        body = ask(operation("add_lesson.graphql"), {"input": {"courseSlug": "python"}}, people.teacher).json()
    assert sent.statements == []
    assert "position" in body["errors"][0]["message"]


@pytest.mark.databases
def test_a_teacher_grades_in_their_own_course(people: People, ask: Ask) -> None:
    query = operation("grade.graphql")
    first = Enrollment.objects.filter(course=people.python).order_by("pk")[0]
    key = to_base64("Enrollment", first.pk)
    graded = ask(query, {"id": key, "grade": 91}, people.teacher).json()["data"]["gradeEnrollment"]
    assert graded == {"__typename": "Enrollment", "id": key, "grade": 91}
    first.refresh_from_db()
    assert first.grade == 91
    high = ask(query, {"id": key, "grade": 101}, people.teacher).json()["data"]["gradeEnrollment"]
    assert high["fields"][0]["field"] == "grade"
    other = Enrollment.objects.exclude(course=people.python).order_by("pk")[0]
    for strange in (
        to_base64("Enrollment", other.pk),
        to_base64("Course", first.pk),
        to_base64("Enrollment", "x"),
        to_base64("Enrollment", 10**30),
    ):
        none = ask(query, {"id": strange, "grade": 1}, people.teacher).json()["data"]["gradeEnrollment"]
        assert none["fields"] == [{"field": "id", "message": "There is no such enrollment."}]
    mine = Enrollment.objects.filter(learner__user=people.ama).order_by("pk")[0]
    for nothing in ("", "7", "x" * 20, "RW5yb2xsbWVudA=="):
        [error] = ask(query, {"id": nothing, "grade": 1}, people.teacher).json()["errors"]
        assert error["message"] == f'Value cannot represent a GlobalID: "{nothing}".'
    body = ask(query, {"id": to_base64("Enrollment", mine.pk), "grade": 100}, people.ama).json()
    assert body["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
    first.refresh_from_db()
    assert first.grade == 91


@pytest.mark.databases("postgresql")
def test_the_first_field_stays_when_the_second_fails(people: People, ask: Ask, record: Recorder) -> None:
    answer = ask(operation("two_lessons.graphql"), user=people.teacher).json()
    assert answer["data"] is None
    assert LessonRow.objects.filter(title="Typing").exists()
    assert not LessonRow.objects.filter(title="Async").exists()
    record("mutations_two.json", shown(answer))


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("sqlite", "postgresql")
def test_atomic_requests_commit_all_the_same(
    people: People, ask: Ask, monkeypatch: pytest.MonkeyPatch, record: Recorder, database: str
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    with queries() as sent:
        answer = ask(operation("two_lessons.graphql"), user=people.teacher).json()
    assert answer["data"] is None
    assert LessonRow.objects.filter(title="Typing").exists()
    assert (sent.statements[0].split()[0], sent.statements[-1].split()[0]) == ("BEGIN", "COMMIT")
    if database == "postgresql":
        short = [text for text in sent.statements if not text.startswith("SELECT")]
        sent.statements[:] = short
        text = sent.text.replace(f"-- {len(short)} queries", "-- without what was read:")
        record("mutations_atomic_requests.sql", text)


@pytest.mark.databases
def test_all_or_none(people: People) -> None:
    query = operation("samples/both_lessons.graphql")
    for title, lessons in (("Typing", 1), ("", 0)):
        inputs = [TYPING, {"courseSlug": "python", "position": 9, "title": title}]
        if title:
            LessonRow.objects.filter(course=people.python, position__gte=8).delete()
        result = masking.execute_sync(query, {"input": inputs}, context_value=context(people.teacher))
        assert result.errors is None
        assert result.data
        assert result.data["addLessons"]["__typename"] == ("Lessons" if lessons else "InvalidInput")
        assert LessonRow.objects.filter(course=people.python, position=8).count() == lessons
        LessonRow.objects.filter(course=people.python, position__gte=8).delete()


@pytest.mark.wrong("lab/graphql_api/mutation_samples.py:wrong_copy_lesson")
@pytest.mark.databases("postgresql")
def test_the_text_of_a_bug_goes_to_the_client_unless_masked(people: People, record: Recorder) -> None:
    query = operation("samples/copy_lesson.graphql")
    told = telling.execute_sync(query, context_value=context(people.teacher))
    assert told.errors
    assert "Key (course_id," in told.errors[0].message
    record("mutations_told.json", shown({"data": told.data, "errors": [e.formatted for e in told.errors]}))


@pytest.mark.django_db(transaction=True)
def test_a_masked_error_is_logged_in_full(people: People, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="strawberry.execution"):
        masked = masking.execute_sync(operation("samples/copy_lesson.graphql"), context_value=context(people.teacher))
    assert masked.errors
    assert [error.message for error in masked.errors] == ["Unexpected error."]
    [logged] = caplog.records
    assert "UNIQUE constraint failed" in caplog.text
    assert "Traceback" in caplog.text
    assert "in copy_lesson" in caplog.text, "where it happened"
    assert logged.levelno == logging.ERROR


def test_bugs_of_the_lab_are_masked_and_its_refusals_are_not(
    people: People, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise KeyError("the seats of room 7")

    def denied(*args: object) -> None:
        raise PermissionDenied("Not for you.")

    refused = ask(operation("enroll.graphql"), {"slug": "docker"}).json()
    assert refused["errors"][0]["message"] == "You are not signed in."
    unknown = ask("{ titel }").json()
    assert "Cannot query field 'titel'" in unknown["errors"][0]["message"]
    monkeypatch.setattr(enrolling, "enroll", broken)
    body = ask(operation("enroll.graphql"), {"slug": "docker"}, people.ama)
    assert body.json()["errors"][0]["message"] == "Unexpected error."
    assert "room 7" not in body.content.decode()
    monkeypatch.setattr(enrolling, "enroll", denied)
    body = ask(operation("enroll.graphql"), {"slug": "docker"}, people.ama)
    assert body.json()["errors"][0]["message"] == "Not for you."
    assert [error.message for error in everything_masked("{ titel }")] == ["Unexpected error."]


def everything_masked(query: str) -> list[GraphQLError]:
    """Return the errors of a schema with ``MaskErrors`` and no argument."""
    return strawberry.Schema(query=Query, extensions=[MaskErrors]).execute_sync(query).errors or []


@strawberry.type(name="Mutation")
class Handled:
    """A mutation with the shortcut of Strawberry Django."""

    @strawberry_django.mutation(handle_django_errors=True)
    def refuse(self, denied: bool) -> Lesson:
        """Fail in one of two ways."""
        if denied:
            raise PermissionDenied("Not for you.")
        raise ValidationError({"position": "Taken."})


@pytest.mark.parametrize(
    ("denied", "message"),
    [
        (True, {"kind": "PERMISSION", "field": None, "message": "Not for you."}),
        (False, {"kind": "VALIDATION", "field": "position", "message": "Taken."}),
    ],
)
def test_the_shortcut_has_one_type_for_all_refusals(denied: bool, message: dict[str, str | None]) -> None:
    made = strawberry.Schema(query=Query, mutation=Handled)
    query = """mutation M($denied: Boolean!) {
      refuse(denied: $denied) { ... on OperationInfo { messages { kind field message } } }
    }"""
    assert made.execute_sync(query, {"denied": denied}).data == {"refuse": {"messages": [message]}}
    assert "union RefusePayload = Lesson | OperationInfo" in made.as_str()


def test_files_are_refused(client: Client) -> None:
    parts = {"operations": '{"query": "mutation { enroll(courseSlug: \\"docker\\") { __typename } }"}', "map": "{}"}
    assert client.post("/graphql/", parts).status_code == 415


def test_operations_fit_their_schemas() -> None:
    for name in ("add_lesson.graphql", "enroll.graphql", "grade.graphql", "two_lessons.graphql"):
        assert validate(schema._schema, parse(operation(name))) == [], name
    for name in ("samples/both_lessons.graphql", "samples/copy_lesson.graphql"):
        assert validate(masking._schema, parse(operation(name))) == [], name
