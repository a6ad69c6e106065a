"""The picture of the way from one server to many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.pages import ROOT
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from tests.recording.files import Recorder


def test_the_way_from_one_server_to_many(record: Recorder) -> None:
    source = (ROOT / "lab/system_design/diagrams/index.dot").read_text(encoding="utf-8")
    record(
        "index.svg",
        draw(
            source,
            title="From one server to many",
            description="Seven steps, each with its reason: everything on one machine; more processes when "
            "the processor is full; the database on its own machine when memory runs short; two machines and a "
            "balancer when a machine may die; a cache and workers when the database is too busy; a replica when too "
            "many reads are left; several databases when there are too many writes.",
        ),
    )
