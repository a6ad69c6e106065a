"""GraphQL over HTTP, as the specification of September 2026 wants it."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from cross_web import HTTPException
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import JsonResponse
from django.utils.cache import (
    get_conditional_response,
    patch_cache_control,
    patch_vary_headers,
)
from django.utils.http import quote_etag
from graphql import GraphQLSyntaxError
from rest_framework.exceptions import ParseError
from strawberry.django.views import GraphQLView
from strawberry.schema.exceptions import InvalidOperationTypeError

from lab.rest_apis.parsers import StrictJSONParser

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
    from strawberry.http import GraphQLHTTPResponse
    from strawberry.types import ExecutionResult

OLD = "application/json"
NEW = "application/graphql-response+json"
UTF_8 = "; charset=utf-8"  # some clients ask for it by name


class HttpView(GraphQLView):
    """Answers in the media type that the client takes, with a code that fits."""

    status = 200

    # --8<-- [start:run]
    def run(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, or say in HTTP's words why there is nothing to answer."""
        found = request.get_preferred_type([OLD + UTF_8, NEW + UTF_8])
        self.media_type = (found or "").removesuffix(UTF_8)
        try:
            return super().run(request, *args, **kwargs)
        except RequestDataTooBig:
            return self.refuse(413, "The body is too large.")
        except ParseError as error:
            return self.refuse(400, str(error.detail))
        except UnicodeError:
            return self.refuse(400, "The request is not text in UTF-8.")
        except HTTPException as error:
            if isinstance(error.__cause__, InvalidOperationTypeError):
                return self.refuse(405, error.reason)
            status = 422 if error.status_code == 400 else error.status_code
            return self.refuse(status, error.reason)

    def refuse(self, status: int, reason: str) -> HttpResponseBase:
        """Return an answer to what is no well-formed request."""
        response = JsonResponse(
            {"errors": [{"message": reason}]},
            status=status,
            content_type=self.media_type or OLD,
        )
        patch_vary_headers(response, ["Accept"])
        if status == 405:
            response["Allow"] = "POST" if self.request.method == "GET" else "GET, POST"
        return response

    # --8<-- [end:run]

    # --8<-- [start:parse]
    def parse_http_body(self, request: Any) -> Any:
        """Read a request, if it is of the one type and wants one of the two."""
        if not self.media_type:
            raise HTTPException(406, f"The answer is {NEW} or {OLD}.")
        if request.method == "POST" and self.request.content_type != OLD:
            raise HTTPException(415, f"Send {OLD}.")
        return super().parse_http_body(request)

    def decode_json(self, data: str | bytes) -> object:
        """Read a body, or the variables in a URL, as the REST API would."""
        raw = data.encode() if isinstance(data, str) else data
        found = StrictJSONParser().parse(BytesIO(raw))
        json.dumps(found, ensure_ascii=False).encode()  # fails on half a character
        if self.request.method == "POST" and not isinstance(found, dict | list):
            raise HTTPException(422, "The body is not an object.")
        return found

    # --8<-- [end:parse]

    def should_render_graphql_ide(self, request: Any) -> bool:
        """Show the IDE on a developer's machine; else a GET is a question as any."""
        return settings.DEBUG and super().should_render_graphql_ide(request)

    # --8<-- [start:status]
    def process_result(
        self, request: HttpRequest, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        """Choose the status code; a client of the old type keeps its 200."""
        answer = super().process_result(request, result)
        if self.media_type == NEW and result.errors:
            if result.data is not None or any(error.path for error in result.errors):
                self.status = 294  # it ran
            else:
                syntax = isinstance(result.errors[0], GraphQLSyntaxError)
                self.status = 400 if syntax else 422
                del answer["data"]
        return answer

    def create_response(
        self, response_data: Any, sub_response: Any
    ) -> HttpResponseBase:
        """Return the answer; one to a GET may be kept."""
        response = cast(
            "HttpResponse", super().create_response(response_data, sub_response)
        )
        response.status_code = self.status
        if self.status == 294:
            response.reason_phrase = "Partial Success"
        if self.media_type == NEW:
            response["Content-Type"] = NEW + UTF_8
        patch_vary_headers(response, ["Accept"])
        if self.request.method != "GET":
            return response
        if "errors" in response_data:
            patch_cache_control(response, no_store=True)
            return response
        return self.kept(response)

    # --8<-- [end:status]

    # --8<-- [start:kept]
    def kept(self, response: HttpResponse) -> HttpResponseBase:
        """Return an answer to GET with what caches need to know."""
        if self.request.user.is_authenticated:
            patch_cache_control(response, private=True, no_cache=True)
        else:
            patch_cache_control(response, public=True, max_age=60)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        content = response["Content-Type"].encode() + response.content
        etag = quote_etag(hashlib.sha256(content).hexdigest()[:16])
        response["ETag"] = etag
        return get_conditional_response(self.request, etag, None, response) or response

    # --8<-- [end:kept]
