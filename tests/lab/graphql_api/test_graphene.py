"""graphene-django, run in a process of its own, and the way from it to Strawberry."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphql import build_schema, lexicographic_sort_schema, print_schema

from lab.graphql_api.graphene_moved import closed, first
from lab.graphql_api.schema import breaking
from scripts.pages import ROOT
from tests.lab.graphql_api.operations import context
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.files import Recorder

FOLDER = Path(sys.prefix) / "graphene"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="graphene-django is not here: scripts/install.sh graphene"),
]


def graphene(*arguments: str, session: str = "") -> str:
    """Return what graphene_run prints for a session, or for the word ``schema``."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.graphql_api.graphene_run", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{FOLDER}{os.pathsep}{ROOT}", "PYTHONWARNINGS": ""},
        input=session,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def results(session: str) -> list[str]:
    """Return the lines that a session printed."""
    return [line for line in session.splitlines() if not line.startswith((">>>", "..."))]


@pytest.fixture
def old(record: Recorder) -> Callable[[str], str]:
    """``old(name)`` runs a recorded session with graphene-django, compares it and returns it."""

    def run(name: str) -> str:
        text = graphene(session=record.transcript(name, ">>>"))
        record(name, text)
        return text

    return run


@pytest.fixture(scope="module")
def old_sdl() -> str:
    """The schema of graphene_samples, without descriptions."""
    return bare(graphene("schema"))


def bare(sdl: str) -> str:
    """Return a schema in the order of the alphabet and without descriptions, so that two can be compared."""
    found = build_schema(re.sub(r'(?s) *""".*?"""\n', "", sdl))
    return print_schema(lexicographic_sort_schema(found)).replace(" = null", "")


def test_it_cannot_live_with_the_labs_graphql(old: Callable[[str], str]) -> None:
    text = old("graphene_conflict.pycon")
    assert "graphql-core<3.3" in text
    assert "graphql-core>=3.3" in text


def test_a_query_and_a_mutation(old: Callable[[str], str]) -> None:
    assert "'weeks': 6" in old("graphene_course.pycon")


@pytest.mark.wrong("lab/graphql_api/graphene_leaks.py:wrong_types")
def test_types_without_fields_say_everything(old: Callable[[str], str]) -> None:
    assert "'pbkdf2_sha256'" in old("graphene_leak.pycon")
    assert "Warning" not in old("graphene_leak.pycon"), "Python hides it"
    assert old("graphene_warned.pycon").count("DeprecationWarning") == 2


def test_all_fields_and_all_but_one_say_as_much_without_a_warning() -> None:
    lines = """\
>>> import warnings
>>> warnings.simplefilter("error")
>>> from graphene_django import DjangoObjectType
>>> from graphene_django.registry import Registry
>>> from lab.academy import models
>>> class Everything(DjangoObjectType):
...     class Meta:
...         model = models.User
...         fields = "__all__"
...         registry = Registry()
>>> "password" in Everything._meta.fields
>>> class AllButOne(DjangoObjectType):
...     class Meta:
...         model = models.User
...         exclude = ["password"]
...         registry = Registry()
>>> "password" in AllButOne._meta.fields, "is_superuser" in AllButOne._meta.fields
"""
    assert results(graphene(session=lines)) == ["True", "(False, True)"]


def test_nothing_is_closed_by_itself() -> None:
    lines = """\
>>> from lab.academy.models import Course
>>> from lab.graphql_api.graphene_samples import schema
>>> shown = schema.execute("{ courses { edges { node { slug } } } }").data["courses"]["edges"]
>>> Course.objects.filter(published=False, slug__in=[edge["node"]["slug"] for edge in shown]).count()
"""
    assert results(graphene(session=lines)) == ["1"]


def test_how_many_queries(old: Callable[[str], str]) -> None:
    assert results(old("graphene_queries.pycon")) == ["(70, 1, 62)", "12"]


def test_the_rule_of_a_type_holds_for_joined_rows_too() -> None:
    lines = """\
>>> import graphene
>>> from lab.academy.models import Lesson
>>> from lab.graphql_api.graphene_samples import LessonOfVisible
>>> class Query(graphene.ObjectType):
...     lessons = graphene.List(LessonOfVisible)
...     def resolve_lessons(root, info):
...         return Lesson.objects.select_related("course")
>>> found = graphene.Schema(query=Query).execute("{ lessons { course { title } } }")
>>> drafts = Lesson.objects.filter(course__published=False).count()
>>> drafts > 0, found.data["lessons"].count(None) == drafts
"""
    assert results(graphene(session=lines)) == ["(True, True)"]


def test_the_view(old: Callable[[str], str]) -> None:
    text = old("graphene_view.pycon")
    assert "\n403\n" in text
    assert "(400, " in text
    assert "(200, 8)" in text


def test_an_error_takes_the_whole_request_back(old: Callable[[str], str]) -> None:
    assert "'Python')" in old("graphene_atomic.pycon")


def test_the_two_schemas(old_sdl: str, record: Recorder) -> None:
    record("graphene_old.graphql", old_sdl)
    record("graphene_new.graphql", bare(closed.as_str()))
    differences = breaking(old_sdl, first.as_str())
    record("graphene_differences.txt", "\n".join(differences))
    assert len(differences) == 5
    assert breaking(old_sdl, closed.as_str()) == ["Argument Query.courses(offset:) was removed."]


def execute(schema: Any, query: str) -> Any:
    """Return the data of an answer without errors."""
    result = schema.execute_sync(query, context_value=context())
    assert result.errors is None
    return result.data


def test_identifiers_and_cursors_stay(academy: None) -> None:
    query = """{
      course(slug: "python") { id level weeks tags { name } }
      courses(first: 2) { edges { cursor node { id title lessons { title } } } pageInfo { endCursor hasNextPage } }
      lessons { title minutes course { title } }
    }"""
    lines = [
        "from lab.graphql_api.graphene_samples import schema",
        f"schema.execute({' '.join(query.split())!r}).data['course']",
        f"schema.execute({' '.join(query.split())!r}).data['lessons']",
        f"[edge['cursor'] for edge in schema.execute({' '.join(query.split())!r}).data['courses']['edges']]",
    ]
    before = graphene(session="".join(f">>> {line}\n" for line in lines))
    data = execute(closed, query)
    now = [data["course"], data["lessons"], [edge["cursor"] for edge in data["courses"]["edges"]]]
    assert [ast.literal_eval(line) for line in results(before)] == now


def test_the_optimizer_saves_the_queries(academy: None) -> None:
    for query, expected in (
        ("{ lessons { course { title } } }", 1),
        ("{ courses { edges { node { tags { name } } } } }", 2),
    ):
        with queries() as sent:
            execute(closed, query)
        assert len(sent.statements) == expected


def test_a_mutation_of_each_shape(academy: None) -> None:
    rename = 'mutation { renameCourse(slug: "python", title: "Python 3") { %s } }'
    assert execute(first, rename % "title") == {"renameCourse": {"title": "Python 3"}}
    assert execute(closed, rename % "course { title }") == {"renameCourse": {"course": {"title": "Python 3"}}}
    assert execute(first, '{ course(slug: "python") { weeks } }') == {"course": {"weeks": 6}}


def test_connections_have_a_limit_and_lists_have_none() -> None:
    lines = (
        "from lab.academy.models import Course, Lesson",
        "from lab.graphql_api.graphene_samples import schema",
        "from graphene_django.views import GraphQLView",
        "day = '2026-01-05'",
        "new = [Course(title=f'C {n}', slug=f'c-{n}', starts_on=day, ends_on=day) for n in range(140)]",
        "course = Course.objects.bulk_create(new)[0]",
        "lessons = Lesson.objects.bulk_create(Lesson(course=course, position=n, title='L') for n in range(1, 141))",
        "len(schema.execute('{ courses { edges { node { id } } } }').data['courses']['edges'])",
        "len(schema.execute('{ lessons { title } }').data['lessons']) > 140",
        "view = GraphQLView(schema=schema)",
        "view.graphiql, view.validation_rules",
        "from graphene.validation import depth_limit_validator as depth",
        "from graphql import parse, validate",
        "deep = parse('{ lessons { course { lessons { title } } } }')",
        "[len(validate(schema.graphql_schema, deep, [depth(max_depth=most)])) for most in (2, 3)]",
    )
    text = graphene(session="".join(f">>> {line}\n" for line in lines))
    assert results(text) == ["100", "True", "(False, None)", "[1, 0]"]
