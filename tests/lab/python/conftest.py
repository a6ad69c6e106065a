"""What the pages on packages have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.python.packages import Desk
    from tests.recording.files import Recorder


@pytest.fixture
def play(record: Recorder, desk: Desk) -> Callable[[str], str]:
    """``play("lock_files_moves.console")`` runs a recorded session again in the module's project and compares it."""

    def again(name: str) -> str:
        index = {"PIP_INDEX_URL": desk.indexes.url(), "UV_DEFAULT_INDEX": desk.indexes.url()}
        text = desk.play(ROOT / "lab" / "python" / "recorded" / name, "gradebook", **index)
        record(name, text)
        return text

    return again
