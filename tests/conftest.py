"""What tests of the site and of the commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.browser import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what ``make measure`` and ``make challenge`` say."""
    parser.addoption("--measure", metavar="NAME", help="measure this anew: make measure lists the names")
    parser.addoption("--solution", metavar="FOLDER", help="run a challenge's test on this folder: make challenge")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with chromium() as started:
        yield started
