"""What other chapters have measured, for arithmetic with it."""

from __future__ import annotations

from scripts.pages import ROOT
from tests.recording.chart import Measurement


def read(path: str) -> Measurement:
    """Return a recorded measurement; the path begins below lab/."""
    return Measurement.read(ROOT / "lab" / path)


def per_process() -> dict[str, float]:
    """Return the requests a second that one process of the lab answered, by what it had to do."""
    database = read("asynchronous/recorded/when_to_use_database.json")
    bars = read("caching/recorded/cost_load.json").bars
    return {
        "catalog, three queries, 16 threads": dict(database.lines["gunicorn, 16 threads"])[16],
        "twenty courses, made each time": bars["twenty courses, made each time"],
        "twenty courses, kept in Valkey": bars["twenty courses, from cache_page"],
    }
