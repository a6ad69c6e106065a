"""What the tests of the chapter share: a million rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection

from lab.database_design import million as rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker


def anew() -> None:
    """Make the test database anew if a column was dropped in it: it still takes room in each row, and so pages.

    The sessions that earlier tests have left end first: nothing is vacuumed that one of them may still see.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        cursor.execute(
            "SELECT count(*) FROM pg_attribute WHERE attisdropped AND attrelid::regclass::text LIKE 'academy%'"
        )
        [(dropped,)] = cursor.fetchall()
    if dropped:
        connection.close()
        connection.creation.create_test_db(verbosity=0, autoclobber=True)


@pytest.fixture(scope="module")
def million(database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A million enrollments on PostgreSQL, committed and vacuumed, made once for all tests of a file.

    A test that asks for it has the mark ``databases("postgresql")`` and works in a transaction (``db``),
    or outside of any with ``committed``; never ``django_db(transaction=True)``, which empties the tables.
    """
    assert database == "postgresql"
    with django_db_blocker.unblock():
        anew()
        rows.empty()  # what earlier tests rolled back has left its pages behind
        rows.fill()
    yield
    with django_db_blocker.unblock():
        rows.empty()


@pytest.fixture
def committed(million: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The million rows outside a transaction, for VACUUM, statistics and measurements: clean up what you make."""
    with django_db_blocker.unblock():
        yield
