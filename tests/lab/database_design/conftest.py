"""What the tests of the chapter share: a million rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.database_design import million as rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker


@pytest.fixture(scope="module")
def million(database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A million enrollments on PostgreSQL, committed and vacuumed, made once for all tests of a file.

    A test that asks for it has the mark ``databases("postgresql")`` and works in a transaction (``db``),
    or outside of any with ``committed``; never ``django_db(transaction=True)``, which empties the tables.
    """
    assert database == "postgresql"
    with django_db_blocker.unblock():
        rows.fill()
    yield
    with django_db_blocker.unblock():
        rows.empty()


@pytest.fixture
def committed(million: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The million rows outside a transaction, for VACUUM, statistics and measurements: clean up what you make."""
    with django_db_blocker.unblock():
        yield
