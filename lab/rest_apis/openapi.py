"""The description of the API: what the library cannot read from the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from drf_spectacular.contrib.rest_framework_simplejwt import (
    TokenObtainPairSerializerExtension,
    TokenRefreshSerializerExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS

from lab.rest_apis.errors import MEDIA_TYPE, details

if TYPE_CHECKING:
    from collections.abc import Iterator


# --8<-- [start:problem]
TEXT = {"type": "string"}
TEXT_HEADER = {"required": True, "schema": TEXT}
PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "instance": {"type": "string", "format": "uri"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": dict.fromkeys(
                    ("pointer", "parameter", "code", "detail"), TEXT
                ),
                "required": ["code", "detail"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["type", "title", "status"],
    "additionalProperties": False,
}
# --8<-- [end:problem]


# --8<-- [start:schema]
class Schema(AutoSchema):
    """An operation with its errors, and with what a visitor may do."""

    def get_auth(self) -> list[dict[str, Any]]:
        """Return the ways to sign in; `{}` says that none is needed."""
        ways: list[dict[str, Any]] = super().get_auth()
        if self.method in SAFE_METHODS and {} not in ways:
            self.view.request.user = AnonymousUser()
            try:
                self.view.check_permissions(self.view.request)
            except APIException:
                return ways
            ways.append({})
        return ways

    def get_operation(self, *args: Any) -> dict[str, Any] | None:
        """Return the operation with every status that it may answer."""
        operation: dict[str, Any] | None = super().get_operation(*args)
        if operation is None:
            return None
        self.add_conditions(operation)
        for status in self.errors(operation):
            answer = response(status)
            name = answer["description"].replace(" ", "")
            self.register("responses", name, answer)
            ref = {"$ref": f"#/components/responses/{name}"}
            operation["responses"][str(status)] = ref
        self.register("schemas", "Problem", PROBLEM)
        return operation

    # --8<-- [end:schema]
    # --8<-- [start:errors]
    def errors(self, operation: dict[str, Any]) -> Iterator[int]:
        """Yield the statuses that follow from what the operation takes."""
        parameters = operation.get("parameters", [])
        places = {part["in"] for part in parameters}
        query = {part["name"] for part in parameters if part["in"] == "query"}
        body = "requestBody" in operation
        changes = self.method not in SAFE_METHODS and operation.get("security")
        if body or query - {"page", "page_size"}:
            yield 400
        yield 401
        if changes:
            yield 403
        if "path" in places or "page" in query:
            yield 404
        yield 406
        if changes and (body or self.method == "DELETE"):
            yield 409
        if "header" in places:
            yield 412
        if body:
            yield from (413, 415)
        yield 429

    # --8<-- [end:errors]
    # --8<-- [start:conditions]
    def add_conditions(self, operation: dict[str, Any]) -> None:
        """Add the headers of ``ConditionalMixin``, and where a new resource is."""
        if "201" in operation["responses"]:
            operation["responses"]["201"]["headers"] = {"Location": TEXT_HEADER}
        view: Any = self.view
        if hasattr(view, "etag") and view.action in {"retrieve", *view.changes}:
            if self.method in ("GET", "PATCH"):
                tag = TEXT_HEADER | {"example": '"63715a4f422d26d4"'}
                operation["responses"]["200"]["headers"] = {"ETag": tag}
            if self.method == "GET":
                operation["responses"]["304"] = {"description": "You have it."}
            for name in ("If-Match", "If-None-Match"):
                header = {"in": "header", "name": name, "schema": TEXT}
                operation["parameters"].append(header)

    # --8<-- [end:conditions]
    def register(self, kind: str, name: str, schema: dict[str, Any]) -> None:
        """Add a component, once."""
        component = ResolvedComponent(name, kind, schema, object=name)
        self.registry.register_on_missing(component)


def response(status: int) -> dict[str, Any]:
    """Return a response that holds problem details."""
    example = details(status)
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": example["title"], "content": {MEDIA_TYPE: problem}}


EXAMPLES: dict[str, dict[str, Any]] = {
    "Course": {
        "slug": "python",
        "title": "Python",
        "description": "Python from the first step to a running service.",
        "level": "intermediate",
        "seats": 25,
        "published": True,
        "starts_on": "2026-01-12",
        "ends_on": "2026-02-23",
        "tags": ["practice", "web"],
    },
    "Lesson": {"position": 1, "title": "Python, part 1", "minutes": 35},
    "Enrollment": {
        "id": 4,
        "learner": "Kofi",
        "course": "testing",
        "enrolled_on": "2026-02-23",
        "grade": 89,
    },
    "Grade": {"grade": 89},
}


# --8<-- [start:examples]
def with_examples(result: Any, **_: Any) -> Any:
    """Give each schema the members of an example that it has."""
    schemas = result["components"].get("schemas", {})
    for name, one in EXAMPLES.items():
        page = {"count": 1, "next": None, "previous": None, "results": [one]}
        for pattern in ("{}", "{}Request", "Patched{}Request", "Paginated{}List"):
            schema = schemas.get(pattern.format(name), {"properties": {}})
            known = schema["properties"]
            schema["examples"] = [
                {key: value for key, value in (one | page).items() if key in known}
            ]
    return result


# --8<-- [end:examples]


# --8<-- [start:null]
def null_as_in_3_1(result: Any, **_: Any) -> Any:
    """Write ``nullable``, which OpenAPI 3.1 does not know, as a second type."""
    for part in result.values() if isinstance(result, dict) else result:
        if isinstance(part, dict | list):
            null_as_in_3_1(part)
    if isinstance(result, dict) and result.get("nullable") is True:
        del result["nullable"]
        result["type"] = [result["type"], "null"]
    return result


# --8<-- [end:null]


# --8<-- [start:tokens]
class Obtain(TokenObtainPairSerializerExtension):
    """The library knows simplejwt's serializers, and not what is made from them."""

    target_class = "lab.rest_apis.tokens.ObtainSerializer"


class Refresh(TokenRefreshSerializerExtension):
    """The same for refreshing."""

    target_class = "lab.rest_apis.tokens.RefreshSerializer"


# --8<-- [end:tokens]
