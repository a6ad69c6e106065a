"""What the API takes for JSON, and what it does not even look into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils import json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import IO


# --8<-- [start:strict]
class StrictJSONParser(JSONParser):
    """JSON in UTF-8 that means one thing to every reader, and of a bounded shape."""

    max_depth = 10
    max_items = 100  # of one list or object

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the data of a body; a charset in the media type has no meaning."""
        try:
            data = json.loads(stream.read().decode(), object_pairs_hook=unique)
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except ValueError as error:
            raise ParseError("The body is not JSON in UTF-8.") from error
        self.check(data, self.max_depth)
        return data

    def check(self, data: Any, depth: int) -> None:
        """Refuse a shape that no resource has, and text that no column takes."""
        if isinstance(data, str) and "\0" in data:
            raise ParseError("The body holds a null character.")
        if not isinstance(data, dict | list):
            return
        if not depth:
            raise ParseError("The body is nested too deeply.")
        if len(data) > self.max_items:
            raise ParseError("The body holds too many items in one place.")
        for part in [*data, *data.values()] if isinstance(data, dict) else data:
            self.check(part, depth - 1)


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of two members with one name, readers differ which counts."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ParseError("The body names a member twice.")
        found[name] = value
    return found


# --8<-- [end:strict]
