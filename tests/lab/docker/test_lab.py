"""``docker compose up`` runs the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import services
from tests.recording.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.services
def test_docker_compose_up(image: str, project: Callable[..., str]) -> None:
    port = str(services.free_port())
    project("up", "--wait", "--detach", PORT=port)
    page = exchange(f"http://127.0.0.1:{port}", "GET", "/courses/databases/")
    assert page.status == 200
    assert "Databases, part 1" in page.body
