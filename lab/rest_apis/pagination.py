"""Lists in pages.

The settings name this module, so it must not import views: they read the settings
while they are imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import (
    CursorPagination,
    LimitOffsetPagination,
    PageNumberPagination,
)
from rest_framework.response import Response

if TYPE_CHECKING:
    from rest_framework.request import Request


# --8<-- [start:pages]
class Pages(PageNumberPagination):
    """Pages of twenty; a client may ask for up to a hundred."""

    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100


# --8<-- [end:pages]


# --8<-- [start:offsets]
class Offsets(LimitOffsetPagination):
    """Any stretch of the list, of a hundred rows at most."""

    default_limit = 20
    max_limit = 100


# --8<-- [end:offsets]


# --8<-- [start:wrong_offsets]
class WrongOffsets(LimitOffsetPagination):
    """Any stretch of the list."""

    default_limit = 20


# --8<-- [end:wrong_offsets]


# --8<-- [start:newest]
class Newest(CursorPagination):
    """Pages from the newest row on; each begins where the one before ended."""

    ordering = "-pk"
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        """Return the rows of a page; a cursor that nobody was given is not found."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError) as error:
            raise NotFound(self.invalid_cursor_message) from error


# --8<-- [end:newest]


# --8<-- [start:wrong_by_start]
class WrongByStart(CursorPagination):
    """Pages from the next start on."""

    ordering = ("starts_on", "pk")
    page_size = 100


# --8<-- [end:wrong_by_start]


# --8<-- [start:uncounted]
class Uncounted(LimitOffsetPagination):
    """Any stretch of the list, without the number of all rows."""

    default_limit: int = 20
    max_limit = 100

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any]:
        """Return a page; a row more than asked for says that there is a next one."""
        self.request = request
        self.limit = self.get_limit(request) or self.default_limit
        self.offset = self.get_offset(request)
        rows = list(queryset[self.offset : self.offset + self.limit + 1])
        self.count = self.offset + len(rows)  # as far as the links need to know
        return rows[: self.limit]

    def get_paginated_response(self, data: Any) -> Response:
        """Answer with the rows and the links."""
        return Response(
            {
                "next": self.get_next_link(),
                "previous": self.get_previous_link(),
                "results": data,
            }
        )


# --8<-- [end:uncounted]
