"""Who may know what, whichever path they take."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
import strawberry_django
from django.contrib.auth.models import AnonymousUser, Permission
from strawberry.relay import to_base64
from strawberry_django.optimizer import DjangoOptimizerExtension
from strawberry_django.permissions import HasPerm

from lab.academy.models import Course, Enrollment, Learner, User
from lab.graphql_api import permission_samples as samples
from lab.graphql_api import types
from lab.graphql_api.permissions import may_write_to
from lab.graphql_api.schema import schema
from tests.lab.graphql_api.operations import EVERY_ANSWER
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Ask = Callable[..., Any]


def execute(graph: strawberry.Schema, query: str, user: User | None = None) -> Any:
    """Return the answer of a schema to a user."""
    context = SimpleNamespace(request=SimpleNamespace(user=user or AnonymousUser()))
    return graph.execute_sync(query, context_value=context)


@pytest.fixture
def draft(people: People) -> Course:
    """The course Python after it has been taken back: Kofi is enrolled in it, and nobody can know of it."""
    Course.objects.filter(slug="python").update(published=False, teacher=None)
    return Course.objects.get(slug="python")


@pytest.mark.wrong("lab/graphql_api/permission_samples.py:wrong_types")
@pytest.mark.databases("postgresql")
def test_other_paths(people: People, draft: Course, session: Callable[..., None]) -> None:
    def ask(graph: strawberry.Schema, query: str, user: User | None = None) -> Any:
        return execute(graph, query, user).data

    names = {"ask": ask, "kofi": people.kofi, "to_base64": to_base64}
    session("permissions_wrong.pycon", **names, wrong=samples.wrong_schema)
    session("permissions_right.pycon", **names, schema=samples.schema)


@pytest.mark.wrong("lab/graphql_api/permission_samples.py:wrong_types")
@pytest.mark.databases
def test_no_path_leads_to_a_draft(people: People, draft: Course) -> None:
    hers = people.ama.learner.enrollments.get(course=draft)
    wrong, right = samples.wrong_schema, samples.schema

    def node(graph: strawberry.Schema, name: str, key: int, field: str) -> Any:
        query = f'{{ node(id: "{to_base64(name, key)}") {{ ... on {name} {{ {field} }} }} }}'
        return execute(graph, query).data["node"]

    assert node(wrong, "OpenCourse", draft.pk, "title") == {"title": "Python"}
    assert node(wrong, "OpenEnrollment", hers.pk, "grade") == {"grade": 67}
    assert node(right, "Course", people.python.pk + 1, "title") is not None
    assert node(right, "Course", 9999, "title") is None, "as a row that does not exist"
    assert node(right, "Course", draft.pk, "title") is None
    assert node(right, "Enrollment", hers.pk, "grade") is None
    path = "{ courses { title } enrollments { course { title } } }"
    assert "Python" in json.dumps(execute(wrong, path, people.kofi).data["enrollments"])
    assert "Python" not in json.dumps(execute(right, path, people.kofi).data)


def test_without_the_optimizer_a_foreign_key_goes_past_the_filter(people: People, draft: Course) -> None:
    path = "{ enrollments { course { title } } }"
    assert "Python" not in json.dumps(execute(samples.schema, path, people.kofi).data)
    assert "Python" in json.dumps(execute(samples.unoptimized, path, people.kofi).data)


@strawberry_django.type(Enrollment)
class Strict:
    """An enrollment that promises its course."""

    course: types.Course


@strawberry.type
class StrictQuery:
    """Where reading starts."""

    enrollments: list[Strict] = strawberry_django.field()


def test_a_hidden_row_where_none_may_be_missing_takes_the_list(people: People, draft: Course) -> None:
    graph = strawberry.Schema(query=StrictQuery, extensions=[DjangoOptimizerExtension])
    answer = execute(graph, "{ enrollments { course { title } } }", people.kofi)
    assert answer.data is None
    assert answer.errors[0].message == "Cannot return null for non-nullable field Strict.course."


@pytest.mark.wrong("lab/graphql_api/permission_samples.py:wrong_newest")
@pytest.mark.databases("postgresql")
def test_a_row_that_is_fetched_already_is_not_filtered(people: People, session: Callable[..., None]) -> None:
    session("permissions_newest.pycon", execute=lambda query: execute(samples.schema, query, people.kofi).data)
    newest = Enrollment.objects.latest("pk")
    assert newest.learner.user != people.kofi
    assert execute(samples.schema, "{ newest { grade } }", newest.learner.user).data == {"newest": {"grade": 53}}
    Course.objects.filter(pk=newest.course_id).update(published=False)
    answer = execute(samples.schema, "{ wrongNewest { course { title } } }", people.kofi).data
    assert answer["wrongNewest"]["course"] == {"title": newest.course.title}, "nor is what lies behind it"


@pytest.mark.wrong("lab/graphql_api/permission_samples.py:wrong_joined")
@pytest.mark.databases("postgresql")
def test_a_join_brings_rows_past_the_filter(people: People, draft: Course, session: Callable[..., None]) -> None:
    session("permissions_joined.pycon", execute=lambda query: execute(samples.schema, query, people.kofi).data)


# What the permission extensions answer.


@pytest.mark.databases("postgresql")
def test_what_a_denied_field_answers(people: People, session: Callable[..., None]) -> None:
    def ask(query: str, user: User) -> None:
        result = execute(samples.variations, query, user)
        print(json.dumps(result.data), *[f"{error.path} {error.message}" for error in result.errors or []], sep="\n")

    session("permissions_denied.pycon", ask=ask, kofi=people.kofi, registrar=people.registrar)


def test_a_permission_for_an_object_needs_a_backend_that_knows_objects(people: People, settings: Settings) -> None:
    query = "{ graded { grade } }"

    def grades(user: User) -> list[int | None]:
        fresh = User.objects.get(pk=user.pk)  # without the answers that it keeps
        return [row["grade"] for row in execute(samples.variations, query, fresh).data["graded"]]

    assert grades(people.teacher) == [None] * 4
    settings.AUTHENTICATION_BACKENDS = [
        *settings.AUTHENTICATION_BACKENDS,
        "lab.django_app.authorization.TeacherBackend",
    ]
    assert grades(people.teacher) == [67, 78, 61, 78]
    assert grades(people.kofi) == [None] * 3
    people.kofi.user_permissions.add(Permission.objects.get(codename="change_enrollment"))
    assert None not in grades(people.kofi), "the general permission is asked for first"


def test_of_several_permissions_one_is_enough() -> None:
    assert HasPerm(["academy.view_enrollment", "academy.change_enrollment"]).any_perm


# The real schema: every actor at every field.

# fmt: off
# --8<-- [start:table]
FIELDS = ("course", "draft", "enrollment", "grade", "email", "gradeEnrollment")
TABLE = {
    #            course  draft  enrollment  grade  email  gradeEnrollment
    "nobody":    (True,  False, False,      False, False, "UNAUTHENTICATED"),
    "Ama":       (True,  False, True,       True,  True,  "FORBIDDEN"),
    "Kofi":      (True,  False, False,      False, False, "There is no such enrollment."),
    "teacher":   (True,  True,  True,       True,  True,  "graded"),
    "registrar": (True,  False, False,      False, False, "There is no such enrollment."),
}


@pytest.mark.databases
@pytest.mark.parametrize("name", TABLE)
def test_who_may_know_what(people: People, ask: Ask, name: str) -> None:
    assert tuple(answers(people, ask, name)) == TABLE[name]
# --8<-- [end:table]
# fmt: on


def answers(people: People, ask: Ask, name: str) -> list[bool | str]:
    """Return what somebody learns of a course, a draft, and Ama's enrollment, and whether they can grade her."""
    Course.objects.filter(slug="queues").update(teacher=people.teacher)
    enrollment = people.python.enrollments.get(learner__name="Ama")
    user = {
        "nobody": None,
        "Ama": people.ama,
        "Kofi": people.kofi,
        "teacher": people.teacher,
        "registrar": people.registrar,
    }[name]
    data = ask(READ, user=user).json()["data"]
    rows = [edge["node"] for edge in data["course"]["enrollments"]["edges"]]
    hers = next((row for row in rows if row["learner"]["name"] == "Ama"), None)
    found = [
        data["course"]["title"] == "Python",
        data["draft"] is not None,
        hers is not None,
        hers is not None and hers["grade"] == 67,
        hers is not None and hers["learner"]["email"] == "ama@example.com",
    ]
    change = ask(GRADE, {"id": to_base64("Enrollment", enrollment.pk)}, user=user).json()
    if "errors" in change:
        assert change["data"] is None
        result = change["errors"][0]["extensions"]["code"]
    else:
        result = change["data"]["gradeEnrollment"].get("fields", [{"message": "graded"}])[0]["message"]
    enrollment.refresh_from_db()
    assert enrollment.grade == (50 if result == "graded" else 67)
    return [*found, result]


READ = """
query Knows {
  course(slug: "python") {
    title
    enrollments { edges { node { grade learner { name email } } } }
  }
  draft: course(slug: "queues") { title }
}
"""
GRADE = """
mutation Grade($id: ID!) {
  gradeEnrollment(id: $id, grade: 50) {
    __typename
    ... on InvalidInput { fields { message } }
  }
}
"""


def test_an_address_is_for_the_learner_and_their_teachers(people: People) -> None:
    ama = people.ama.learner

    def email(user: User | None, learner: Learner) -> str | None:
        info: Any = SimpleNamespace(context=SimpleNamespace(request=SimpleNamespace(user=user or AnonymousUser())))
        return learner.email if may_write_to(learner, info) else None

    assert email(people.ama, ama) == "ama@example.com"
    assert email(people.teacher, ama) == "ama@example.com"
    for user in (None, people.kofi, people.registrar):
        assert email(user, ama) is None
    ama.user = None
    ama.save()
    assert email(None, ama) is None, "two missing accounts are not the same account"


def test_the_office_knows_learners_by_name(people: People) -> None:
    query = '{{ node(id: "{}") {{ ... on Learner {{ name email }} }} }}'.format(
        to_base64("Learner", people.ama.learner.pk)
    )

    def learner(user: User | None) -> Any:
        return execute(samples.schema, query, user).data["node"]

    assert learner(None) is None
    assert learner(people.kofi) is None
    assert learner(people.registrar) == {"name": "Ama", "email": None}
    assert learner(people.teacher) == learner(people.ama) == {"name": "Ama", "email": "ama@example.com"}
    User.objects.filter(pk=people.registrar.pk).update(is_staff=False)
    assert learner(User.objects.get(pk=people.registrar.pk)) is None


def test_the_address_costs_no_query_a_row(people: People, ask: Ask) -> None:
    with queries() as sent:
        data = ask(READ, user=people.teacher).json()["data"]
    assert len(data["course"]["enrollments"]["edges"]) == 4
    assert len(sent.statements) == 4, "two courses, the enrollments, the learners"


def test_a_mutation_asks_for_the_row_itself(people: People, ask: Ask) -> None:
    """What a mutation returns was fetched without the optimizer."""
    enrollment = people.python.enrollments.get(learner__name="Ama")
    query = GRADE.replace("__typename", "__typename ... on Enrollment { learner { email } }")
    answer = ask(query, {"id": to_base64("Enrollment", enrollment.pk)}, user=people.teacher).json()
    assert answer["data"]["gradeEnrollment"]["learner"] == {"email": "ama@example.com"}


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_nobody_on_the_wire(academy: None, wire: Callable[..., Exchange], record: Recorder) -> None:
    query = 'mutation Join { enroll(courseSlug: "django") { __typename } }'
    exchange = wire("POST", "/graphql/", {"Content-Type": "application/json"}, json.dumps({"query": query}))
    assert exchange.status == 200
    record("permissions_nobody.http", re.sub(rf"(?m)^({EVERY_ANSWER}|Vary): .*\n", "", exchange.text))


def test_introspection_shows_the_schema_and_no_rows(academy: None, ask: Ask) -> None:
    data = ask('{ __type(name: "Enrollment") { fields { name } } enrollments { edges { node { id } } } }').json()[
        "data"
    ]
    assert {"name": "grade"} in data["__type"]["fields"]
    assert data["enrollments"]["edges"] == []


def test_every_relation_to_filtered_rows_may_be_null() -> None:
    """Or it points only where whoever sees the row sees what it points at."""
    sdl = schema.as_str()
    types = dict(re.findall(r"(?ms)^type (\w+)[^{]*\{(.*?)^\}", sdl))
    required = {
        (name, field)
        for name, body in types.items()
        for field, target in re.findall(r"(?m)^  (\w+)(?:\(.*\))?: (\w+)!", body)
        if target in {"Course", "Enrollment", "Learner"} and not name.endswith("Edge")
    }
    assert required == {("Lesson", "course"), ("Enrollment", "learner")}
