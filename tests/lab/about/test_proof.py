"""The figures of the page on proof are counted from the pages."""

from __future__ import annotations

from collections import Counter
from posixpath import dirname
from typing import TYPE_CHECKING

from scripts.pages import ROOT, front_matter
from scripts.proof import EXCEPTIONS, KINDS, blocks, pages

if TYPE_CHECKING:
    from tests.recording.files import Recorder


def row(name: str, pages: int, count: Counter[str]) -> str:
    """Return a row of the table: how many pages and blocks, and how many of each kind."""
    numbers = [pages, count.total(), *(count[kind] for kind in KINDS)]
    return f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |"


def test_the_blocks_of_each_chapter(record: Recorder) -> None:
    inside = Counter(dirname(page) for page, _ in pages(ROOT))
    counts: dict[str, Counter[str]] = {folder: Counter() for folder in inside}
    for block in blocks():
        assert block.kind, f"{block.page}:{block.line} is of no kind"
        counts[dirname(block.page)][block.kind] += 1
    assert not EXCEPTIONS
    heads = ["Pages", "Blocks", *(kind.capitalize() for kind in KINDS)]
    rows = [f"| Chapter | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
    for folder, count in sorted(counts.items()):
        path = f"{folder}/index.md"
        title = front_matter(path, (ROOT / path).read_text(encoding="utf-8"))[0]["title"]
        link = path.replace("docs/", "../", 1)
        rows.append(row(f"[{title}]({link})", inside[folder], count))
    rows.append(row("All", inside.total(), sum(counts.values(), Counter())))
    record("proof.md", "\n".join(rows))
