"""A course with its lessons inside: what reading it costs, and what writing it needs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.versioning import NamespaceVersioning

from lab.academy.models import Course, Lesson, Tag
from lab.academy.seed import seed
from lab.rest_apis.nested_data import (
    DeepCourseSerializer,
    LinkingCourseSerializer,
    NaiveOutlineSerializer,
    OutlineSerializer,
    SyllabusSerializer,
)
from lab.rest_apis.serializers import CourseSerializer, LessonSerializer
from tests.lab.marks import recorded_on_5_2
from tests.lab.rest_apis.wire import sender, stable
from tests.recording.sql import queries

if TYPE_CHECKING:
    from rest_framework.serializers import BaseSerializer

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

Session = Callable[..., None]
Wire = Callable[..., "Exchange"]

GOOD = {"slug": "sql", "title": "SQL", "starts_on": "2027-01-11", "ends_on": "2027-02-22"}
HERE = pytest.mark.urls("lab.rest_apis.nested_data")


def count(path: str) -> int:
    """Return how many queries a visitor's GET of a page of all courses takes."""
    client = APIClient()
    with queries() as sent:
        answer = client.get(path, {"page_size": 100})
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == Course.objects.count()
    return len(sent.statements)


@pytest.mark.databases("postgresql")
def test_a_course_shows_its_lessons(people: People, session: Session) -> None:
    session("nested_data_read.pycon", SyllabusSerializer=SyllabusSerializer, python=people.python)


@pytest.mark.wrong("lab/rest_apis/nested_data.py:wrong_queries")
@pytest.mark.databases("postgresql")
@HERE
def test_the_queries_of_a_list(db: None, record: Recorder) -> None:
    lines = ["courses  without prefetch  with prefetch"]
    for courses in (10, 100):
        Course.objects.all().delete()
        seed(courses=courses, learners=0)
        Course.objects.update(published=True)
        slow, quick = count("/slow/"), count("/syllabi/")
        assert (slow, quick) == (2 + 2 * courses, 4)
        lines.append(f"{courses:7}  {slow:16}  {quick:13}")
        Tag.objects.all().delete()
    record("nested_data_queries.txt", "\n".join(lines))


@pytest.mark.databases("postgresql")
@HERE
def test_the_queries_with_prefetch(people: People, record: Recorder) -> None:
    client = people.client(people.ama)
    with queries() as sent:
        assert client.get("/syllabi/").status_code == 200
    record("nested_data_prefetch.sql", sent.text)


@pytest.mark.wrong("lab/rest_apis/nested_data.py:wrong_depth")
@pytest.mark.databases("postgresql")
def test_depth_shows_whole_rows(people: People, session: Session) -> None:
    shown = DeepCourseSerializer(people.python).data["teacher"]
    assert shown["password"] == people.teacher.password
    session("nested_data_depth.pycon", DeepCourseSerializer=DeepCourseSerializer, python=people.python)


def request_to_v1(**headers: str) -> Any:
    """Return a request as the views of version 1 have it."""
    request: Any = APIRequestFactory().get("/api/v1/courses/", headers=headers)
    request.version, request.versioning_scheme = "v1", NamespaceVersioning()
    return request


SHAPES: dict[str, type[BaseSerializer]] = {
    "no lessons": CourseSerializer,
    "a link to them": LinkingCourseSerializer,
    "lessons embedded": SyllabusSerializer,
}


@pytest.mark.databases("postgresql")
def test_the_size_of_what_is_embedded(db: None, settings: Any, record: Recorder) -> None:
    settings.ALLOWED_HOSTS = ["academy.example"]
    seed(courses=20, learners=0)
    context = {"request": request_to_v1(host="academy.example")}
    lines, sizes, packed = [], [], []
    for name, serializer in SHAPES.items():
        courses = Course.objects.prefetch_related("tags", "lessons")
        body = JSONRenderer().render(serializer(courses, many=True, context=context).data)
        sizes.append(len(body))
        packed.append(len(gzip.compress(body)))
        lines.append(f"{name:16}  {len(body):6} bytes")
    assert packed[2] * 5 < sizes[2]
    assert packed[2] > 1.5 * packed[0]
    record("nested_data_sizes.txt", "\n".join(lines))


@HERE
def test_the_link_leads_to_the_lessons(people: People) -> None:
    context = {"request": request_to_v1()}
    link = LinkingCourseSerializer(people.python, context=context).data["lessons"]
    assert link == "http://testserver/api/v1/courses/python/lessons/"
    assert people.client().get(link).json()["count"] == 7


@pytest.mark.wrong("lab/rest_apis/nested_data.py:wrong_write")
@pytest.mark.databases("postgresql")
def test_nested_writes_are_refused(people: People, session: Session) -> None:
    session("nested_data_refused.pycon", NaiveOutlineSerializer=NaiveOutlineSerializer, good=GOOD)
    change = NaiveOutlineSerializer(people.python, data={"lessons": []}, partial=True)
    assert change.is_valid()
    with pytest.raises(AssertionError, match=r"The `\.update\(\)` method does not support writable nested"):
        change.save()
    without = NaiveOutlineSerializer(people.python, data={"seats": 12}, partial=True)
    assert without.is_valid()
    assert without.save().seats == 12, "nobody notices as long as nobody sends lessons"


def lessons(*titles: str) -> list[dict[str, Any]]:
    """Return lessons with these titles, from position 1 on."""
    return [{"position": position, "title": title} for position, title in enumerate(titles, 1)]


@pytest.mark.databases
@HERE
def test_a_course_is_written_with_its_lessons(people: People) -> None:
    client = people.client(people.teacher)
    answer = client.post("/outlines/", GOOD | {"lessons": lessons("Rows", "Keys")})
    assert answer.status_code == 201
    assert [lesson["title"] for lesson in answer.json()["lessons"]] == ["Rows", "Keys"]
    course = Course.objects.get(slug="sql")
    assert course.teacher == people.teacher
    assert course.lessons.count() == 2
    answer = client.put("/outlines/sql/", GOOD | {"lessons": lessons("Joins")})
    assert [lesson["title"] for lesson in answer.json()["lessons"]] == ["Joins"]
    assert [lesson.title for lesson in course.lessons.all()] == ["Joins"]
    answer = client.patch("/outlines/sql/", {"seats": 12})
    assert [lesson["title"] for lesson in answer.json()["lessons"]] == ["Joins"]
    answer = client.patch("/outlines/sql/", {"lessons": []})
    assert answer.json()["lessons"] == []
    assert not course.lessons.exists()


@pytest.mark.databases("postgresql")
def test_a_part_of_a_course_holds_whole_lessons(people: People, session: Session) -> None:
    session(
        "nested_data_partial.pycon",
        NaiveOutlineSerializer=NaiveOutlineSerializer,
        OutlineSerializer=OutlineSerializer,
        python=people.python,
    )


@pytest.mark.databases
@HERE
def test_a_patch_does_not_store_half_a_lesson(people: People) -> None:
    client = people.client(people.teacher)
    before = list(people.python.lessons.values_list("pk", flat=True))
    for part, missing in (({"title": "Rows"}, "position"), ({"position": 1}, "title")):
        answer = client.patch("/outlines/python/", {"lessons": [part]})
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert (error["pointer"], error["code"]) == (f"#/lessons/0/{missing}", "required")
    assert list(people.python.lessons.values_list("pk", flat=True)) == before


@pytest.mark.databases
@HERE
def test_what_no_single_lesson_shows(people: People) -> None:
    client = people.client(people.teacher)
    same = [{"position": 1, "title": "Rows"}, {"position": 1, "title": "Keys"}]
    answer = client.post("/outlines/", GOOD | {"lessons": same})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/lessons")
    answer = client.post("/outlines/", GOOD | {"lessons": lessons(*"x" * 51)})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "max_length")
    assert not Course.objects.filter(slug="sql").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases
def test_all_or_nothing(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second step fails, so the first has not happened."""
    before = list(people.python.lessons.values_list("pk", flat=True))
    monkeypatch.setattr(OutlineSerializer, "validate_lessons", lambda _, lessons: lessons)
    same = [{"position": 1, "title": "Rows"}, {"position": 1, "title": "Keys"}]
    new = OutlineSerializer(data=GOOD | {"lessons": same})
    assert new.is_valid()
    with pytest.raises(IntegrityError):
        new.save()
    assert not Course.objects.filter(slug="sql").exists()
    change = OutlineSerializer(people.python, data={"lessons": same}, partial=True)
    assert change.is_valid()
    with pytest.raises(IntegrityError):
        change.save()
    assert list(people.python.lessons.values_list("pk", flat=True)) == before


@pytest.mark.databases("postgresql")
def test_what_is_replaced_is_new(people: People, session: Session) -> None:
    session("nested_data_replace.pycon", OutlineSerializer=OutlineSerializer, python=people.python)


@recorded_on_5_2("the middleware that closes views sets Vary")
@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql")
@HERE
def test_a_nested_write_on_the_wire(people: People, wire: Wire, record: Recorder) -> None:
    def post(part: list[dict[str, Any]]) -> Exchange:
        sent = {**sender(people.teacher), "Accept": "application/json; indent=2"}
        return wire("POST", "/outlines/", sent, json.dumps(GOOD | {"lessons": part}))

    answer = post([{"position": 1, "title": "Rows"}, {"position": 2, "title": "", "minutes": 0}])
    assert answer.status == 400
    record("nested_data_errors.http", stable(answer.text))
    answer = post(lessons("Rows", "Keys"))
    assert answer.status == 201
    record("nested_data_created.http", stable(answer.text))


@pytest.mark.databases
@HERE
def test_many_lessons_at_once(people: People) -> None:
    client = people.client(people.teacher)
    Lesson.objects.filter(course=people.python).delete()
    fifty = lessons(*(f"Part {n}" for n in range(50)))
    with queries() as sent:
        answer = client.post("/courses/python/bulk/", fifty)
    assert (answer.status_code, len(answer.json())) == (201, 50)
    assert sum("INSERT" in statement for statement in sent.statements) == 1
    assert client.post("/courses/python/bulk/", fifty[:1]).status_code == 409
    assert not answer.has_header("Location")
    one = client.post("/courses/python/bulk/", {"position": 51, "title": "One"})
    assert (one.status_code, one["Location"]) == (201, "/courses/python/bulk/51/")
    # A list is stored as a whole or not at all.
    mixed = [{"position": 200, "title": "New"}, {"position": 1, "title": "Taken"}]
    assert client.post("/courses/python/bulk/", mixed).status_code == 409
    assert not people.python.lessons.filter(position=200).exists()
    for part in ([], lessons(*"x" * 51), [{"position": 300, "title": "Right"}, {}]):
        assert client.post("/courses/python/bulk/", part).status_code == 400
    assert people.client(people.ama).post("/courses/python/bulk/", fifty).status_code == 403


def test_a_list_is_stored_one_by_one_by_default(people: People) -> None:
    Lesson.objects.filter(course=people.python).delete()
    serializer = LessonSerializer(data=lessons(*"x" * 100), many=True)
    assert serializer.is_valid()
    with queries() as sent:
        serializer.save(course=people.python)
    assert sum("INSERT" in statement for statement in sent.statements) == 100
    again = LessonSerializer(people.python.lessons.all(), data=lessons("x"), many=True)
    assert again.is_valid()
    with pytest.raises(NotImplementedError, match="do not support multiple update"):
        again.save()
