"""The description of the API, and the running API driven against it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
import yaml
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.urls import path
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from hypothesis import HealthCheck, settings
from jsonschema_rs import Draft202012Validator
from rest_framework import serializers
from rest_framework.test import APIClient
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from lab.academy.models import Course
from lab.rest_apis import openapi_samples
from lab.rest_apis.openapi import EXAMPLES, PROBLEM, Schema
from scripts.pages import ROOT
from tests.lab.people import bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.academy.models import User
    from tests.lab.people import People
    from tests.recording.files import Recorder

FILE = ROOT / "lab/rest_apis/openapi.yaml"


# The file


def described(**options: Any) -> str:
    """Return what ``manage.py spectacular`` writes."""
    out = io.StringIO()
    call_command("spectacular", **({"api_version": "v1", "validate": True, "fail_on_warn": True} | options), stdout=out)
    return out.getvalue()


def test_the_committed_file_is_what_the_code_says(record: Recorder) -> None:
    text = described()
    if record.writes:
        FILE.write_text(text, encoding="utf-8")
    assert text == FILE.read_text(encoding="utf-8"), "make record ONLY=lab/rest_apis"


# The running API


def document(**options: Any) -> dict[str, Any]:
    """Return the description of the API, or of other URL patterns."""
    found: dict[str, Any] = SchemaGenerator(**options).get_schema(public=True)
    return found


# --8<-- [start:drive]
api = schemathesis.openapi.from_dict(document(api_version="v1"))
api.app = get_wsgi_application()

EXISTING: dict[str, Any] = {"slug": "python", "course_slug": "python", "position": 1, "id": 2}
STRICTER: list[Any] = [checks.positive_data_acceptance, checks.negative_data_rejection]


@pytest.fixture
def ama(people: People) -> User:
    """Ama is a learner; here she teaches every course, too, and may add more."""
    people.ama.user_permissions.add(Permission.objects.get(codename="add_course"))
    Course.objects.update(teacher=people.ama)
    return people.ama


@pytest.mark.slow
@pytest.mark.usefixtures("kept_open")
@pytest.mark.databases("sqlite", "postgresql")
@api.parametrize()
@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_api_keeps_its_description(case: schemathesis.Case, ama: User) -> None:
    if case.meta is not None and case.meta.generation.mode.is_positive:
        known = {name: EXISTING[name] for name in case.path_parameters}
        case.path_parameters.update(known)
    cache.clear()  # or the throttles answer most requests
    with transaction.atomic():
        case.call_and_validate(headers=bearer(ama), excluded_checks=STRICTER)
        transaction.set_rollback(True)


# --8<-- [end:drive]


@pytest.fixture(autouse=True)
def localhost(settings: Any) -> None:
    """Take what Schemathesis calls the host."""
    settings.ALLOWED_HOSTS = ["localhost", "testserver"]


@pytest.mark.usefixtures("kept_open")
def test_a_refusal_keeps_the_description(people: People) -> None:
    """Kofi is a learner: he reads, and may change no course, lesson or grade."""
    headers = bearer(people.kofi)
    refused = set()
    for result in api.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        known = {name: (EXISTING | {"id": 4})[name] for name in EXISTING if f"{{{name}}}" in operation.path}
        body: dict[str, Any] = {"body": {}, "media_type": "application/json"} if operation.body else {}
        case = operation.Case(path_parameters=known, **body)
        with transaction.atomic():
            answer = case.call_and_validate(headers=headers, excluded_checks=STRICTER)
            transaction.set_rollback(True)
        if answer.status_code == 403:
            refused.add((operation.method.upper(), operation.path.removeprefix("/api/v1")))
    course, lesson = "/courses/{slug}/", "/courses/{course_slug}/lessons/{position}/"
    assert refused == {
        ("POST", "/courses/"),
        ("POST", "/courses/{slug}/publish/"),
        ("POST", "/courses/{course_slug}/lessons/"),
        ("PATCH", "/enrollments/{id}/"),
        *((method, path) for method in ("PUT", "PATCH", "DELETE") for path in (course, lesson)),
    }


# Descriptions that lie


SAMPLES = pytest.mark.urls("lab.rest_apis.openapi_samples")


def driven(description: dict[str, Any], path: str) -> list[str]:
    """Ask the API one question, and return what the description says otherwise."""
    schema = schemathesis.openapi.from_dict(description)
    schema.app = get_wsgi_application()
    try:
        schema[path]["GET"].Case(path_parameters={"slug": "python"}).call_and_validate()
    except FailureGroup as group:
        return [str(getattr(failure, "message", failure)).partition("\n")[0] for failure in group.exceptions]
    return []


def sample(name: str) -> tuple[list[str], list[str]]:
    """Return what is said while a sample is described, and while it is driven."""
    patterns = [route for route in openapi_samples.urlpatterns if route.pattern.match(f"{name}/python/")]
    GENERATOR_STATS.reset()
    description = document(patterns=patterns)
    warned = [text.partition("]: ")[2] for text in GENERATOR_STATS._warn_cache]
    return warned, driven(description, f"/{name}/{{slug}}/")


@SAMPLES
@pytest.mark.usefixtures("kept_open")
@pytest.mark.wrong("lab/rest_apis/openapi_samples.py:wrong_hint")
@pytest.mark.wrong("lab/rest_apis/openapi_samples.py:wrong_answer")
def test_what_finds_a_lie(academy: None, record: Recorder) -> None:
    assert sample("courses") == ([], [])
    lines = []
    for name in ("days", "seats"):
        warned, found = sample(name)
        lines += [f"/{name}/{{slug}}/", f"  described: {' '.join(warned) or 'no warning'}", f"  driven: {found[0]}"]
        assert len(found) == 1
    record("openapi_lies.txt", "\n".join(lines))


def test_drf_writes_null_as_openapi_3_0_did() -> None:
    def next_page() -> dict[str, Any]:
        found: dict[str, Any] = document(api_version="v1")["components"]["schemas"]["PaginatedCourseList"]
        return found["properties"]["next"]  # type: ignore[no-any-return]

    with patched_settings({"POSTPROCESSING_HOOKS": []}):
        plain = next_page()
    assert (plain["type"], plain["nullable"]) == ("string", True)
    # 3.1 describes values in JSON Schema 2020-12, which has no such word.
    assert not Draft202012Validator(plain).is_valid(None)
    assert Draft202012Validator(next_page()).is_valid(None)
    assert not Draft202012Validator(next_page()).is_valid(2)


def test_without_a_version_the_description_is_empty() -> None:
    assert yaml.safe_load(described(api_version=None))["paths"] == {}


def test_the_library_does_not_know_what_is_made_from_simplejwts_serializer(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer() -> dict[str, Any]:
        said: dict[str, Any] = document(api_version="v1")["paths"]["/api/v1/token/"]["post"]["responses"]["200"]
        return said

    assert answer()["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Obtain"}
    others = [kind for kind in OpenApiSerializerExtension._registry if kind.__module__ != Schema.__module__]
    monkeypatch.setattr(OpenApiSerializerExtension, "_registry", others)
    assert answer() == {"description": "No response body"}


# What the description says


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    return document(api_version="v1")


def operations(said: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return each operation by its method and path."""
    return {
        (method.upper(), path.removeprefix("/api/v1")): operation
        for path, item in said["paths"].items()
        for method, operation in item.items()
    }


def test_what_a_visitor_may_do(said: dict[str, Any]) -> None:
    free = {key for key, operation in operations(said).items() if {} in operation.get("security", [{}])}
    assert free == {
        ("GET", "/courses/"),
        ("GET", "/courses/{slug}/"),
        ("GET", "/courses/{course_slug}/lessons/"),
        ("GET", "/courses/{course_slug}/lessons/{position}/"),
        ("POST", "/token/"),
        ("POST", "/token/refresh/"),
        ("POST", "/token/revoke/"),
    }


def test_every_error_is_problem_details(said: dict[str, Any]) -> None:
    responses = said["components"]["responses"]
    for key, operation in operations(said).items():
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"401", "406", "429"} <= set(errors), key
        for answer in errors.values():
            content = responses[answer["$ref"].rpartition("/")[2]]["content"]
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert Draft202012Validator(PROBLEM).is_valid(content["application/problem+json"]["example"])


def test_parameters_and_actions(said: dict[str, Any]) -> None:
    known = operations(said)
    catalog = {parameter["name"] for parameter in known["GET", "/courses/"]["parameters"]}
    assert catalog == {
        "free", "level", "ordering", "page", "page_size", "search", "starts_from", "starts_until", "tag"
    }  # fmt: skip
    publish = known["POST", "/courses/{slug}/publish/"]
    assert "requestBody" not in publish
    assert set(publish["responses"]) == {"200", "401", "403", "404", "406", "429"}
    assert known["POST", "/courses/"]["responses"]["201"]["headers"] == {
        "Location": {"required": True, "schema": {"type": "string"}}
    }
    assert "published" not in said["components"]["schemas"]["CourseRequest"]["properties"]


def test_conditions_are_described_where_they_are_read(said: dict[str, Any]) -> None:
    found = {
        key
        for key, operation in operations(said).items()
        if {"If-Match", "If-None-Match"} <= {parameter["name"] for parameter in operation.get("parameters", [])}
    }
    assert found == {(method, "/courses/{slug}/") for method in ("GET", "PUT", "PATCH", "DELETE")}
    tagged = {key for key in found if "ETag" in operations(said)[key]["responses"].get("200", {}).get("headers", {})}
    assert tagged == {("GET", "/courses/{slug}/"), ("PATCH", "/courses/{slug}/")}


def test_the_examples_are_answers(people: People, said: dict[str, Any]) -> None:
    visitor, kofi = people.client(), people.client(people.kofi)
    real = {
        "Course": visitor.get("/api/v1/courses/python/").json(),
        "Lesson": visitor.get("/api/v1/courses/python/lessons/1/").json(),
        "Enrollment": kofi.get("/api/v1/enrollments/4/").json(),
        "Grade": {"grade": kofi.get("/api/v1/enrollments/4/").json()["grade"]},
    }
    assert real == EXAMPLES
    schemas = said["components"]["schemas"]
    for name in ("Course", "Lesson", "Enrollment", "Grade"):
        assert schemas[name]["examples"] == [real[name]]
    assert schemas["CourseRequest"]["examples"] == [{k: v for k, v in real["Course"].items() if k != "published"}]
    assert schemas["EnrollmentRequest"]["examples"] == [{"course": "testing"}]
    assert schemas["PaginatedLessonList"]["examples"][0]["results"] == [real["Lesson"]]


def test_the_recorded_operation(said: dict[str, Any], record: Recorder) -> None:
    path = "/api/v1/enrollments/{id}/"
    schemas = {name: said["components"]["schemas"][name] for name in ("PatchedGradeRequest", "Problem")}
    grade = {key: said["paths"][path]["patch"][key] for key in ("operationId", "requestBody", "security", "responses")}
    shown = {
        "paths": {path: {"patch": grade}},
        "components": {"schemas": {"PatchedGradeRequest": schemas["PatchedGradeRequest"]}},
    }
    record("openapi_operation.yaml", yaml.safe_dump(shown, sort_keys=False))


@pytest.mark.slow
def test_the_recorded_command(shell: Callable[..., None]) -> None:
    shell("openapi_command.console", PYTHONPATH=str(ROOT), DEBUG="true", DATABASE_URL="sqlite://:memory:")


def test_everybody_may_read_it(db: None) -> None:
    answer = APIClient().get("/api/v1/schema/")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/vnd.oai.openapi+json")
    assert answer.json() == yaml.safe_load(described())
    assert APIClient().get("/api/v1/schema/", headers={"Authorization": "Bearer x"}).status_code == 200


# What it does not promise


def test_drf_takes_an_object_for_a_list(people: People) -> None:
    """Schemathesis found it: the description says array, and the names of an object do as well."""
    client = people.client(people.teacher)
    body = {"slug": "go", "title": "Go", "starts_on": "2026-01-01", "ends_on": "2026-01-02", "tags": {"web": 1}}
    answer = client.post("/api/v1/courses/", body)
    assert (answer.status_code, answer.json()["tags"]) == (201, ["web"])
    assert client.patch("/api/v1/courses/go/", {"tags": {}}).json()["tags"] == []


def test_a_type_for_mypy_alone_ends_the_description() -> None:
    def get_days(self: Any, course: Unknown) -> int:  # type: ignore[name-defined]  # noqa: F821
        return 0

    fields = {"days": serializers.SerializerMethodField(), "get_days": get_days}
    kind = type("NamelessSerializer", (serializers.Serializer,), fields)
    view = openapi_samples.CourseView.as_view(serializer_class=kind)
    with pytest.raises(NameError, match="Unknown"):
        document(patterns=[path("x/<slug:slug>/", view)])
