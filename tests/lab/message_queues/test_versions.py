"""The stamp that the pages of the chapter show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.marks import recorded_on_5_2

if TYPE_CHECKING:
    from collections.abc import Callable


@recorded_on_5_2("it names that release")
@pytest.mark.services
def test_the_stamp_is_that_of_the_locked_versions(stamp: Callable[..., None]) -> None:
    stamp("versions.md", "Django", "Celery", cache=True, broker=True)
