"""Who pastes an error into the search must find its entry: the headings are words of the recorded texts."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError

from lab.challenges.symptoms import wrong_import_tags
from scripts.pages import ROOT

if TYPE_CHECKING:
    from tests.recording.files import Recorder

FOLDER = ROOT / "docs" / "challenges"
PAGES = sorted(path.name for path in FOLDER.glob("symptoms-*.md"))
ENTRY = re.compile(r"^### (?P<heading>.+)\n\n(?P<body>(?:(?!^##).*\n)+)", re.MULTILINE)
QUOTED = re.compile(r'--8<-- "(lab/challenges/recorded/symptom_[^"]+)"')


def entries(page: str) -> dict[str, str]:
    """Return the entries of a page: heading and body."""
    text = (FOLDER / page).read_text(encoding="utf-8") + "\n"
    return {match["heading"]: match["body"] for match in ENTRY.finditer(text)}


def words(text: str) -> str:
    """Return a text as it is compared: without marks of code, and with one space between words."""
    return " ".join(text.replace("`", "").replace('\\"', '"').split())


@pytest.mark.parametrize("page", PAGES)
def test_a_heading_is_part_of_its_text(page: str) -> None:
    for heading, body in entries(page).items():
        texts = [words((ROOT / path).read_text(encoding="utf-8")) for path in QUOTED.findall(body)]
        assert texts, f"{page}: {heading} shows no text"
        assert any(words(heading) in text for text in texts), f"{page}: {heading} is in none of {texts}"


@pytest.mark.parametrize("page", PAGES)
def test_an_entry_leads_to_a_page_that_treats_it(page: str) -> None:
    for heading, body in entries(page).items():
        assert re.search(r"\]\([^)]+\.md[)#]", body), f"{page}: {heading} leads nowhere"


def test_the_map_lists_every_entry() -> None:
    text = (FOLDER / "symptoms.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(.+)\]\((symptoms-\w+\.md)#[\w-]+\)$", text, re.MULTILINE)
    there = [(heading, page) for page in ("symptoms-django.md", "symptoms-api.md", "symptoms-data.md",
             "symptoms-operation.md") for heading in entries(page)]  # fmt: skip
    assert listed == there
    assert len(there) >= 78


def shortened(error: BaseException) -> str:
    """Return a traceback with the frames of the lab alone: those of Django and of drivers become three dots."""
    lines: list[str] = []
    for chained in (error.__cause__, error):
        assert chained
        lines.append("Traceback (most recent call last):")
        for frame in traceback.extract_tb(chained.__traceback__):
            if frame.filename.startswith(str(ROOT / "lab")):
                path = frame.filename.removeprefix(f"{ROOT}/")
                lines += [f'  File "{path}", line {frame.lineno}, in {frame.name}', f"    {frame.line}"]
            elif lines[-1] != "  …" and not frame.filename.startswith(str(ROOT / "tests")):
                lines.append("  …")
        lines += ["".join(traceback.format_exception_only(chained)).strip(), ""]
        if chained is not error:
            lines += ["The above exception was the direct cause of the following exception:", ""]
    return "\n".join(lines)


@pytest.mark.databases("postgresql")
@pytest.mark.wrong("lab/challenges/symptoms.py:wrong_import_tags")
def test_the_parts_of_a_traceback(academy: None, record: Recorder) -> None:
    with pytest.raises(IntegrityError, match="duplicate key") as refused:
        wrong_import_tags(["cloud", "web"])
    record("symptoms_traceback.txt", shortened(refused.value))
