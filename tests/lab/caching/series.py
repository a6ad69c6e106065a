"""Measurements of the chapter, which name the cache server beside the database."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from tests.recording import versions
from tests.recording.chart import Measurement


def series(**more: Any) -> Measurement:
    """Return a measurement that names the versions of both servers."""
    name, release = versions.server().split()
    cache_name, cache_release = versions.cache_server().split()
    packages = {"Django": version("django"), "redis-py": version("redis")}
    return Measurement(versions={**packages, name: release, cache_name: cache_release}, **more)
