"""What must hold for every page of the built site."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

from scripts.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

Pages = dict[str, BeautifulSoup]

# gzip; the largest page, 17.5 KB, holds an entity diagram. A page that needs more wants splitting.
MOST_BYTES_OF_A_PAGE = 18 * 1024
# gzip; HTML, styles and scripts of a first view, the search left alone.
MOST_BYTES_OF_A_FIRST_VIEW = 80 * 1024


def attribute(tag: object, name: str) -> str:
    """Return an attribute of a tag as text."""
    value = tag.get(name)  # type: ignore[attr-defined]
    return value if isinstance(value, str) else ""


def test_the_navigation_reaches_every_page(html: Pages, address: str) -> None:
    reached, queue = {""}, [""]
    while queue:
        here = queue.pop()
        for link in html[here].select("nav a[href]"):
            path = urlsplit(urljoin(address + here, attribute(link, "href")))._replace(fragment="", query="").geturl()
            path = path.removeprefix(address)
            if path in html and path not in reached:
                reached.add(path)
                queue.append(path)
    assert set(html) - reached == {"404.html"}


def test_internal_links_and_anchors_lead_somewhere(html: Pages, site: Path, address: str) -> None:
    ids = {path: {attribute(tag, "id") for tag in page.select("[id]")} for path, page in html.items()}
    dead = []
    for here, page in html.items():
        for tag in page.select("a[href], link[href], img[src], script[src]"):
            url = attribute(tag, "href") or attribute(tag, "src")
            target = urlsplit(urljoin(address + here, url))
            path = target._replace(fragment="", query="").geturl()
            if not path.startswith(address):
                continue
            path = unquote(path.removeprefix(address))
            if path in html:
                if target.fragment and unquote(target.fragment) not in ids[path]:
                    dead.append((here, url))
            elif not (site / path).is_file():
                dead.append((here, url))
    assert dead == []


def test_titles_and_descriptions_are_there_and_unique(html: Pages) -> None:
    pages = {path: page for path, page in html.items() if path != "404.html"}
    titles = Counter(page.title.get_text(strip=True) if page.title else "" for page in pages.values())
    descriptions = Counter(attribute(page.select_one("meta[name=description]"), "content") for page in pages.values())
    assert [title for title, times in titles.items() if times > 1 or len(title) < 10] == []
    assert [text for text, times in descriptions.items() if times > 1 or not 50 <= len(text) <= 170] == []


def test_every_page_has_one_h1_and_a_social_card(html: Pages) -> None:
    for path, page in html.items():
        assert len(page.select("h1")) == 1, path
        for name in ("title", "description", "image", "url"):
            if path != "404.html" or name != "url":
                assert attribute(page.select_one(f'meta[property="og:{name}"]'), "content"), (path, name)


def test_the_social_card_and_icons_exist(site: Path) -> None:
    for name in ("social.png", "favicon.svg", "logo.svg"):
        assert (site / "assets" / name).stat().st_size > 100


def test_no_page_loads_anything_from_elsewhere(html: Pages, address: str) -> None:
    foreign = [
        (path, url)
        for path, page in html.items()
        for tag in page.select("[src], link[href], [srcset]")
        for url in [attribute(tag, "src") or attribute(tag, "href") or attribute(tag, "srcset")]
        if re.match(r"(https?:)?//", url) and not url.startswith(address)
    ]
    assert foreign == []


def test_bytes_of_a_page(html: Pages, site: Path) -> None:
    sizes = {path: len(gzip.compress(str(page).encode())) for path, page in html.items()}
    assert {path: size for path, size in sizes.items() if size > MOST_BYTES_OF_A_PAGE} == {}
    heaviest = max(sizes, key=lambda path: sizes[path])
    page = html[heaviest]
    tags = page.select("link[rel=stylesheet], script[src]")
    parts = [attribute(tag, "href") or attribute(tag, "src") for tag in tags]
    rest = sum(len(gzip.compress((site / heaviest / part.split("?")[0]).read_bytes())) for part in parts)
    assert sizes[heaviest] + rest <= MOST_BYTES_OF_A_FIRST_VIEW


def test_the_search_index_is_lean(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_bytes()
    documents = json.loads(index)["docs"]
    assert len(documents) > 100
    assert not [document["location"] for document in documents if document["location"].startswith("404")]


def test_the_sitemap_lists_every_page(html: Pages, site: Path, address: str) -> None:
    listed = set(re.findall(r"<loc>([^<]+)</loc>", (site / "sitemap.xml").read_text(encoding="utf-8")))
    assert listed == {address + path for path in html if path != "404.html"}


def test_terms_of_the_glossary_are_tooltips(html: Pages) -> None:
    with_terms = [path for path, page in html.items() if page.select("article abbr[title]")]
    assert len(with_terms) > len(html) / 2


def test_edit_links_are_absent_without_a_repository(html: Pages) -> None:
    assert [path for path, page in html.items() if page.select("[rel=edit], .md-source, .nx-report")] == []


def test_every_markdown_file_is_a_page(html: Pages) -> None:
    files = {file.relative_to(ROOT / "docs").with_suffix("").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    pages = {path.rstrip("/") for path in html if path != "404.html"}
    assert {name.removesuffix("index").rstrip("/") for name in files} == pages


def test_every_validation_of_mkdocs_is_on() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    validation = yaml.safe_load(text[text.index("\nvalidation:") : text.index("\nwatch:")])["validation"]
    assert set(validation["nav"]) == {"omitted_files", "not_found", "absolute_links"}
    assert set(validation["links"]) == {"not_found", "anchors", "absolute_links", "unrecognized_links"}
    assert {level for group in validation.values() for level in group.values()} == {"warn"}


def test_no_page_is_empty_and_none_is_too_long(html: Pages) -> None:
    words = {
        path: sum(
            len(text.split()) for text in page.select("article")[0].find_all(string=True) if not text.find_parent("pre")
        )
        for path, page in html.items()
        if path not in {"404.html", "about/coverage/", "about/glossary/"}
    }
    assert {path: count for path, count in words.items() if not 150 <= count <= 1700} == {}


@pytest.mark.slow
def test_html_is_valid(site: Path) -> None:
    """Without ``valid-autocomplete``: the theme turns it off on its two check boxes, outside any block."""
    run = subprocess.run(
        [
            ROOT / ".venv/bin/node",
            "node_modules/html-validate/bin/html-validate.mjs",
            "--config",
            ".htmlvalidate.json",
            "--formatter",
            "text",
            str(site),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
