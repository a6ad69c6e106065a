"""Requests with one mistake each, of which none may end in a server error."""

from __future__ import annotations

import sys
from itertools import product
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from django.core.signals import got_request_exception
from django.db import IntegrityError, transaction
from django.urls import include, path
from rest_framework import serializers
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIClient

from lab.academy.models import Course
from lab.challenges.serialization_errors.broken import courses as broken
from lab.challenges.serialization_errors.fixed import courses as fixed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.lab.challenges.conftest import Version
    from tests.recording.files import Recorder

GOOD = {"slug": "sql", "title": "SQL in depth", "starts_on": "2027-01-11", "ends_on": "2027-03-26"}
ONE = "/api/courses/databases/"
# What is asked, how, and the status that it deserves.
ASKED: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "POST a good course": ("post", "/api/courses/", GOOD, 201),
    "POST a slug that is taken": ("post", "/api/courses/", GOOD | {"slug": "databases"}, 400),
    "POST a slug of 200 letters": ("post", "/api/courses/", GOOD | {"slug": "s" * 200}, 400),
    "POST a course without seats": ("post", "/api/courses/", GOOD | {"slug": "none", "seats": 0}, 400),
    "POST a title in capitals": ("post", "/api/courses/", GOOD | {"slug": "loud", "title": "SQL!"}, 400),
    "PUT an end before the start": ("put", ONE, GOOD | {"slug": "databases", "ends_on": "2027-01-01"}, 400),
    "PATCH the title alone": ("patch", ONE, {"title": "Data"}, 200),
    "PATCH the end, to before the start": ("patch", ONE, {"ends_on": "2020-01-01"}, 400),
}


@pytest.fixture
def serve(settings: Settings) -> Callable[[ModuleType], APIClient]:
    """``serve(module)`` puts the view set of a module below /api/courses/, and returns a client."""

    def client(module: ModuleType) -> APIClient:
        router = SimpleRouter()
        router.register("courses", module.Courses)
        urls = ModuleType("urls")
        vars(urls).update(urlpatterns=[path("api/", include(router.urls))])
        settings.ROOT_URLCONF = urls
        return APIClient(raise_request_exception=False)  # a 500, as a server answers, and no exception here

    return client


@pytest.mark.broken("serialization_errors.txt")
@pytest.mark.wrong("lab/challenges/serialization_errors/broken/courses.py:wrong_serializer")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_who_is_to_blame(version: Version, academy: None, serve: Callable[[ModuleType], APIClient]) -> None:
    client = serve(version.module("courses"))
    wrong = []
    for asked, (method, url, body, deserved) in ASKED.items():
        got = getattr(client, method)(url, body).status_code
        if got != deserved:
            wrong.append(f"{asked}: {got} instead of {deserved}")
    if wrong:
        raise AssertionError("\n".join([f"{len(wrong)} of {len(ASKED)} answers have the wrong status", *wrong]))


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_exceptions_behind(academy: None, serve: Callable[[ModuleType], APIClient], record: Recorder) -> None:
    client, raised = serve(broken), []

    def note(**_: Any) -> None:
        raised.append(sys.exception())

    got_request_exception.connect(note)
    rows = ["| Request | Exception in the log |", "| --- | --- |"]
    try:
        for asked, (method, url, body, _) in ASKED.items():
            raised.clear()
            if getattr(client, method)(url, body).status_code == 500:
                first = str(raised[0]).splitlines()[0]
                rows.append(f"| {asked} | `{type(raised[0]).__name__}: {first}` |")
    finally:
        got_request_exception.disconnect(note)
    rows = [row.replace(' relation "academy_course"', "") for row in rows]
    record("serialization_errors_causes.md", "\n".join(rows))
    assert len(rows) == 2 + 6


@pytest.mark.databases("postgresql")
@pytest.mark.django_db
def test_what_the_serializers_derive(session: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    # The model field keeps the limits of the first database that it was asked on.
    monkeypatch.delitem(vars(Course._meta.get_field("seats")), "validators", raising=False)
    session("serialization_errors_fields.pycon", CourseSerializer=broken.CourseSerializer, serializers=serializers)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_what_a_client_hears(academy: None, serve: Callable[[ModuleType], APIClient], record: Recorder) -> None:
    client = serve(fixed)
    rows = ["| Request | Where | Message |", "| --- | --- | --- |"]
    for asked, (method, url, body, deserved) in ASKED.items():
        response = getattr(client, method)(url, body)
        if deserved == 400:
            (error,) = response.json()["errors"]
            rows.append(f"| {asked} | `{error['pointer']}` | {error['detail']} |")
    record("serialization_errors_heard.md", "\n".join(rows))


@pytest.mark.django_db
def test_which_exceptions_become_an_answer(academy: None) -> None:
    class Cleaned(broken.CourseSerializer):
        def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
            Course(**attrs).full_clean()
            return attrs

    cleaned = Cleaned(data=GOOD | {"slug": "databases", "seats": 0})
    assert not cleaned.is_valid()
    assert set(cleaned.errors) == {"slug", "__all__"}
    assert Cleaned(data=GOOD).is_valid()

    class Meta(fixed.CourseSerializer.Meta):
        extra_kwargs: ClassVar[dict[str, Any]] = {"slug": {"validators": []}}  # type: ignore[misc]

    emptied = type("Emptied", (fixed.CourseSerializer,), {"Meta": Meta})(data=GOOD | {"slug": "databases"})
    assert emptied.is_valid()
    with transaction.atomic(), pytest.raises(IntegrityError):
        emptied.save()


# --8<-- [start:junk]
JUNK: list[Any] = [None, "", [], {}, -1, 0, True, 10**30, "x" * 500, "\x00", "2027-02-30"]


def server_errors(client: APIClient) -> list[str]:
    """Send one piece of junk in each field by each method; return what ended in a 500."""
    failed = []
    for field, junk in product(GOOD | {"seats": 30}, JUNK):
        for method, url, body in (
            ("post", "/api/courses/", GOOD | {"slug": "new"}),
            ("put", ONE, GOOD | {"slug": "databases"}),
            ("patch", ONE, {}),
        ):
            response = getattr(client, method)(url, body | {field: junk})
            if response.status_code >= 500:
                failed.append(f"{method.upper()} {field} {junk!r:.20}")
            Course.objects.exclude(pk=1).filter(slug="new").delete()
            Course.objects.filter(pk=1).update(slug="databases")
    return failed


# --8<-- [end:junk]


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.django_db(transaction=True)
def test_junk(academy: None, serve: Callable[[ModuleType], APIClient], database: str) -> None:
    assert server_errors(serve(fixed)) == []
    found = server_errors(serve(broken))
    assert len(found) > 20, found
    too_long = "POST slug 'xxxxxxxxxxxxxxxxxxx"  # SQLite holds no string to its length
    assert (too_long in found) is (database == "postgresql")
