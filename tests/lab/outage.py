"""A database server that has gone away, for tests of what is answered then."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from django.db import connection, connections

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def database_down() -> Iterator[None]:
    """Let nobody listen on the port of the database server. The test has to commit: it loses its connection."""
    connection.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connections.settings["default"], "PORT", "1")
        patch.setitem(connection.settings_dict, "PORT", "1")
        yield
        connection.close()
