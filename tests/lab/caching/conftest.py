"""What the tests of the chapter share: a Valkey that may be filled, emptied and asked what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis

from lab.caching.redis import on_server
from scripts.services import Unavailable, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings


@pytest.fixture
def server_url() -> Iterator[str]:
    """The URL of a Valkey of this test's own."""
    try:
        with running("valkey") as url:
            yield url
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def server(server_url: str, settings: Settings) -> Iterator[Redis]:
    """A client of a Valkey of this test's own, which is also the cache ``default``."""
    settings.CACHES = {"default": on_server(server_url)}
    with Redis.from_url(server_url) as client:
        yield client
