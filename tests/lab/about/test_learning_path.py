"""The learning path is read from the pages: what each needs first, and how long it takes."""

from __future__ import annotations

import re
from math import ceil, floor
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

import pytest

from lab.about.learning_path import CAPSTONE, INTERVIEWS, NEW
from scripts.pages import ROOT, front_matter
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from lab.about.learning_path import Route
    from tests.recording.files import Recorder

NAV = re.compile(r"^ +- (?:.+: )?(\S+\.md)$", re.MULTILINE)
NEED = re.compile(r"^You need .*?(?: first\b|\.(?= |$))", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+\.md)[^)]*\)")
TIME = re.compile(r"(?:Reading|[Tt]his page)(?: this page)? takes (\d+) to (\d+) minutes")
CHAPTERS = ("technologies/", "concepts/")


def pages() -> dict[str, str]:
    """Return the text of each page, in the order of the navigation, by its path below ``docs/``."""
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    return {path: (ROOT / "docs" / path).read_text(encoding="utf-8") for path in NAV.findall(nav)}


PAGES = pages()


def title(path: str) -> str:
    """Return the title of a page."""
    return str(front_matter(path, PAGES[path])[0]["title"])


def needs(path: str) -> list[str]:
    """Return the pages that a page says you need first."""
    found = NEED.search(PAGES[path])
    return [normpath(join(dirname(path), link)) for link in LINK.findall(found[0])] if found else []


def minutes(path: str) -> tuple[int, int]:
    """Return how long a page takes, from and to."""
    found = TIME.search(PAGES[path])
    assert found, f"{path} does not say how long it takes"
    return int(found[1]), int(found[2])


def hours(paths: list[str]) -> str:
    """Return how long pages take together: from, rounded down, and to, rounded up."""
    least, most = (sum(times) for times in zip(*map(minutes, paths), strict=True))
    if most < 60:
        return f"{floor(least / 5) * 5} to {ceil(most / 5) * 5} min"
    return f"{floor(least / 30) / 2:g} to {ceil(most / 30) / 2:g} h"


def chapters() -> dict[str, list[str]]:
    """Return the pages of each chapter, by the path of its map."""
    maps = [path for path in PAGES if path.startswith(CHAPTERS) and path.count("/") == 2 and path.endswith("/index.md")]
    inside = {path: [page for page in PAGES if dirname(page) == dirname(path)] for path in maps}
    return {path: found for path, found in inside.items() if len(found) > 1}


def test_the_chapters(record: Recorder) -> None:
    rows = ["| Chapter | Pages | Reading | You need first |", "| --- | ---: | --- | --- |"]
    edges = []
    for path, inside in chapters().items():
        first = list(dict.fromkeys(f"{dirname(page)}/index.md" for page in needs(path)))
        edges += [f'"{title(page)}" -> "{title(path)}"' for page in first]
        links = ", ".join(f"[{title(page)}](../{page})" for page in first)
        rows.append(f"| [{title(path)}](../{path}) | {len(inside)} | {hours(inside)} | {links or 'nothing'} |")
    record("learning_path_chapters.md", "\n".join(rows))
    look = 'node [shape=box style=rounded fontname="DejaVu Sans" fontsize=14]'
    record(
        "learning_path.svg",
        draw(
            f"digraph {{ rankdir=LR ranksep=0.3 nodesep=0.15 {look}\n" + "\n".join(edges) + "\n}",
            title="What each chapter needs",
            description="An arrow leads from a chapter to each that needs it. The table has the same in words.",
        ),
    )


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("learning_path_new.md", NEW),
        ("learning_path_interviews.md", INTERVIEWS),
        ("learning_path_capstone.md", CAPSTONE),
    ],
)
def test_the_routes(record: Recorder, name: str, route: Route) -> None:
    rows = ["| Step | Pages | Reading |", "| --- | --- | --- |"]
    for step, paths in route.items():
        rows.append(f"| {step} | {', '.join(f'[{title(path)}](../{path})' for path in paths)} | {hours(list(paths))} |")
    total = [path for paths in route.values() for path in paths]
    assert len(set(total)) == len(total)
    rows.append(f"| All | {len(total)} pages | {hours(total)} |")
    record(name, "\n".join(rows))


def test_who_is_new_never_meets_a_page_before_what_it_needs() -> None:
    """A map of a chapter counts as known when any page of the chapter has been read."""
    read: set[str] = set()
    for path in [path for paths in NEW.values() for path in paths]:
        known = read | {f"{dirname(page)}/index.md" for page in read}
        lacks = [page for page in needs(path) if page not in known]
        assert not lacks, f"{path} needs {lacks}"
        read.add(path)


@pytest.mark.parametrize("route", [INTERVIEWS, CAPSTONE])
def test_what_a_route_holds_comes_before_the_page_that_needs_it(route: Route) -> None:
    read = {path for paths in NEW.values() for path in paths}
    left = [path for paths in route.values() for path in paths]
    while left:
        path = left.pop(0)
        assert not [page for page in needs(path) if page in left and page not in read], path
        read.add(path)


def test_every_page_says_how_long_it_takes() -> None:
    times = [minutes(path) for path in PAGES if path != "index.md" and not path.startswith("about/")]
    usual = [time for time in times if time[0] >= 10 and time[1] <= 20]
    assert len(usual) > len(times) / 2, "most take ten to twenty minutes"
