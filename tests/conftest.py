"""What tests of the site and of the commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.browser import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium() as started:
        yield started
