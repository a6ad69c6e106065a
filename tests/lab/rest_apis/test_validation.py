"""What each level of validation refuses, and what the database does when two requests pass all of them."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import pre_save
from django.test import override_settings
from rest_framework.exceptions import ErrorDetail

from lab.academy.models import Course
from lab.rest_apis.errors import Conflict
from lab.rest_apis.serializers import CourseSerializer, LessonSerializer
from lab.rest_apis.validation import (
    AnnouncedCourseSerializer,
    ForgetfulCourseSerializer,
    NotOneOf,
    StrictCourseSerializer,
    save_or_conflict,
)
from tests.lab.rest_apis.wire import sender, stable
from tests.recording.sql import queries

if TYPE_CHECKING:
    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

Session = Callable[..., None]
Wire = Callable[..., "Exchange"]

TOGETHER = pytest.mark.django_db(transaction=True)  # real commits
COURSES = "/api/v1/courses/"
PATIENCE = 2  # seconds that one writer waits for the other at the INSERT
GOOD: dict[str, Any] = {"slug": "sql", "title": "SQL", "starts_on": "2027-01-11", "ends_on": "2027-02-22"}


def race(people: People, *requests: tuple[str, str, dict[str, Any]]) -> list[tuple[int, Any]]:
    """Send requests at once, each in a thread with a connection of its own; return their answers, sorted.

    Each waits at its INSERT until all are there: all have passed the serializer.
    """
    meeting = threading.Barrier(len(requests))

    def meet(**_: object) -> None:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(PATIENCE)

    def send(request: tuple[str, str, dict[str, Any]]) -> tuple[int, Any]:
        client = people.client(people.teacher)
        client.raise_request_exception = False  # answer as a server would
        try:
            method, path, body = request
            answer = getattr(client, method)(path, body)
        finally:
            connection.close()
        return answer.status_code, answer.json() if "json" in answer["Content-Type"] else None

    pre_save.connect(meet, sender=Course)
    try:
        with ThreadPoolExecutor(len(requests)) as pool:
            return sorted(pool.map(send, requests), key=lambda answer: answer[0])
    finally:
        pre_save.disconnect(meet, sender=Course)


@pytest.mark.databases("postgresql")
def test_from_the_narrow_rule_to_the_wide_one(academy: None, session: Session) -> None:
    session("validation_levels.pycon", AnnouncedCourseSerializer=AnnouncedCourseSerializer, good=GOOD)


@pytest.mark.databases
def test_a_rule_runs_if_the_narrower_ones_passed(academy: None) -> None:
    def codes(**values: Any) -> dict[str, list[str]]:
        serializer = AnnouncedCourseSerializer(data=GOOD | values)
        serializer.is_valid()
        return {field: [detail.code for detail in details] for field, details in serializer.errors.items()}

    assert codes(title="Basics of SQL") == {}
    assert codes(title="SQL") == {"title": ["capitals"]}
    assert codes(title="TEST") == {"title": ["reserved"]}, "validate_title() did not run"
    assert codes(title="T" * 121) == {"title": ["max_length"]}
    assert codes(title="Basics of SQL", ends_on="2026-01-01") == {"ends_on": ["order"]}
    assert codes(title="", ends_on="2026-01-01") == {"title": ["blank"]}, "validate() did not run"


def test_validators_in_extra_kwargs_replace_the_derived_ones() -> None:
    meta = type("Meta", (CourseSerializer.Meta,), {"extra_kwargs": {"slug": {"validators": [NotOneOf("new")]}}})
    bare = type("BareSerializer", (CourseSerializer,), {"Meta": meta})

    def kinds(serializer: Any) -> set[str]:
        return {type(validator).__name__ for validator in serializer.fields["slug"].validators}

    assert "UniqueValidator" in kinds(CourseSerializer())
    assert "UniqueValidator" not in kinds(bare())
    assert bare().fields["slug"].max_length == 140


@pytest.mark.wrong("lab/rest_apis/validation.py:wrong_object")
@pytest.mark.databases
@pytest.mark.urls("lab.rest_apis.validation")
def test_a_part_is_judged_with_what_is_stored(people: People) -> None:
    client = people.client(people.teacher)
    client.raise_request_exception = False
    with transaction.atomic():
        assert client.patch("/forgetful/python/", {"ends_on": "2020-01-01"}).status_code == 500
    answer = client.patch("/forgetful/python/", {"starts_on": "2026-01-12", "ends_on": "2020-01-01"})
    assert answer.status_code == 400
    assert not CourseSerializer(people.python, data={"ends_on": "2020-01-01"}, partial=True).is_valid()
    assert not CourseSerializer(people.python, data={"starts_on": "2030-01-01"}, partial=True).is_valid()
    assert CourseSerializer(people.python, data={"title": "Snakes"}, partial=True).is_valid()


@pytest.mark.databases("postgresql")
def test_the_record_of_a_part(people: People, session: Session) -> None:
    session(
        "validation_partial.pycon",
        ForgetfulCourseSerializer=ForgetfulCourseSerializer,
        CourseSerializer=CourseSerializer,
        python=people.python,
        transaction=transaction,
    )


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_mistakes_on_the_wire(people: People, wire: Wire, record: Recorder) -> None:
    sent = {**sender(people.teacher), "Accept": "application/json; indent=2"}
    body = '{"slug": "sql", "title": "", "seats": 0, "starts_on": "2027-01-11", "ends_on": "soon", "tags": ["fun"]}'
    answer = wire("POST", "/api/v1/courses/", sent, body)
    assert answer.status == 400
    record("validation_mistakes.http", stable(answer.text))
    answer = wire("PATCH", "/api/v1/courses/python/", sent, '{"seat": 12}')
    assert answer.status == 200
    people.python.refresh_from_db()
    assert people.python.seats == 25
    record("validation_typo.http", stable(answer.text))


@TOGETHER
@pytest.mark.databases("postgresql")
@pytest.mark.urls("lab.rest_apis.validation")
def test_a_typo_is_refused_by_a_strict_serializer(people: People, record: Recorder) -> None:
    client = people.client(people.teacher)
    answer = client.patch("/strict/python/", {"seat": 12})
    assert answer.status_code == 400
    record("validation_strict.json", json.dumps(answer.json(), indent=2))


@pytest.mark.databases
@pytest.mark.urls("lab.rest_apis.validation")
def test_what_a_strict_serializer_lets_in(people: People) -> None:
    client = people.client(people.teacher)
    whole = client.put("/strict/python/", CourseSerializer(people.python).data | {"seats": 12})
    assert whole.status_code == 200, "read-only fields come back to where they came from"
    assert whole.json()["seats"] == 12
    assert client.patch("/strict/python/", {"published": False}).json()["published"] is True
    assert client.patch("/strict/python/", [1]).status_code == 400
    two = StrictCourseSerializer(data={"seat": 1, "x": 2, "seats": 0})
    assert not two.is_valid()
    assert list(two.errors) == ["seat", "x"]
    assert [[detail.code for detail in details] for details in two.errors.values()] == [["unknown"], ["unknown"]]


@TOGETHER
@pytest.mark.wrong("lab/rest_apis/validation.py:wrong_save")
@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.urls("lab.rest_apis.validation")
def test_two_requests_pass_the_check_and_one_fails_at_the_insert(people: People) -> None:
    answers = race(people, ("post", "/hopeful/", GOOD), ("post", "/hopeful/", GOOD))
    assert [status for status, _ in answers] == [201, 500]
    assert Course.objects.filter(slug="sql").count() == 1


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_the_second_of_two_requests_hears_of_a_conflict(people: People) -> None:
    answers = race(people, ("post", COURSES, GOOD), ("post", COURSES, GOOD))
    assert [status for status, _ in answers] == [201, 409]
    assert Course.objects.filter(slug="sql").count() == 1
    # Who comes later meets the check, and not the constraint.
    late = people.client(people.teacher).post("/api/v1/courses/", GOOD)
    assert late.status_code == 400
    assert late.json()["errors"][0]["code"] == "unique"


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_different_courses_do_not_disturb_each_other(people: People) -> None:
    answers = race(people, ("post", COURSES, GOOD), ("post", COURSES, GOOD | {"slug": "joins"}))
    assert [status for status, _ in answers] == [201, 201]


@TOGETHER
@pytest.mark.databases("postgresql", "mariadb")
def test_two_changes_to_one_slug_conflict_too(people: People) -> None:
    Course.objects.filter(slug="django").update(teacher=people.teacher)
    answers = race(people, *(("patch", f"{COURSES}{slug}/", {"slug": "sql"}) for slug in ("python", "django")))
    # InnoDB may call the two a deadlock before it comes to the constraint; then the loser is asked to try again.
    refusals = {409, 503} if connection.vendor == "mysql" else {409}
    assert answers[0][0] == 200
    assert answers[1][0] in refusals
    assert Course.objects.filter(slug="sql").count() == 1


@TOGETHER
@pytest.mark.databases("postgresql")
def test_the_record_of_the_race(people: People, settings: Any, record: Recorder) -> None:
    settings.ROOT_URLCONF = "lab.rest_apis.validation"
    answers = race(people, ("post", "/hopeful/", GOOD), ("post", "/hopeful/", GOOD))
    lines = [f"without  {' and '.join(str(status) for status, _ in answers)}"]
    Course.objects.filter(slug="sql").delete()
    settings.ROOT_URLCONF = "lab.urls"
    answers = race(people, ("post", COURSES, GOOD), ("post", COURSES, GOOD))
    lines.append(f"with     {' and '.join(str(status) for status, _ in answers)}")
    record("validation_race.txt", "\n".join(lines))
    record("validation_conflict.json", json.dumps(answers[1][1], indent=2))


@pytest.mark.databases
def test_what_is_no_conflict_stays_a_bug(people: People) -> None:
    serializer = ForgetfulCourseSerializer(people.python, data={"ends_on": "2020-01-01"}, partial=True)
    assert serializer.is_valid()
    with pytest.raises(IntegrityError):
        save_or_conflict(serializer)
    late = CourseSerializer(data=GOOD)
    assert late.is_valid()
    Course.objects.create(**GOOD)
    with pytest.raises(Conflict):
        save_or_conflict(late)
    assert Course.objects.filter(slug="sql").count() == 1, "the connection is usable"


def test_the_check_is_a_query_and_no_lock(people: People) -> None:
    serializer = CourseSerializer(data=GOOD)
    with queries() as sent:
        assert serializer.is_valid()
    assert len(sent.statements) == 1
    assert "FOR UPDATE" not in sent.statements[0]


@pytest.mark.databases("postgresql")
def test_the_errors_of_a_list(academy: None, session: Session) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        session("validation_many.pycon", LessonSerializer=LessonSerializer, override_settings=override_settings)


def test_the_form_of_before_is_deprecated() -> None:
    before = LessonSerializer(data=[{}], many=True)
    with (
        override_settings(REST_FRAMEWORK={"LIST_SERIALIZER_ERRORS_AS_DICT": False}),
        pytest.warns(Warning, match=r"removed in DRF 3\.20"),
    ):
        before.is_valid()
    assert isinstance(before.errors, list)
    now = LessonSerializer(data=[{}], many=True)
    now.is_valid()
    assert list(now.errors) == [0]


def test_messages_may_name_values(academy: None) -> None:
    serializer = CourseSerializer(data=GOOD | {"seats": 0})
    serializer.is_valid()
    (detail,) = serializer.errors["seats"]
    assert isinstance(detail, ErrorDetail)
    assert (detail, detail.code) == ("Ensure this value is greater than or equal to 1.", "min_value")
