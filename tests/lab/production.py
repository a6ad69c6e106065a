"""The lab as it is in production, for tests of its settings."""

from __future__ import annotations

import os
import runpy
from typing import TYPE_CHECKING, Any

from scripts.pages import ROOT

if TYPE_CHECKING:
    import pytest

PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": "n3xus-" * 10,
    "ALLOWED_HOSTS": "academy.example",
    "DATABASE_URL": "sqlite:///academy.sqlite3",
}


def kept(*prefixes: str) -> dict[str, str]:
    """Return the variables that a process of its own needs of this one: PATH, and those with these prefixes."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PATH", *prefixes))}


def production(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """Return the lab's settings as they are with these variables, and what production needs."""
    for name in ("DEBUG", "BEHIND_PROXY", "SECRET_KEY_FALLBACKS", "CACHE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**PRODUCTION, **variables}.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "lab/settings.py"))
