"""Mistakes that can be seen in the source of a page, each with file, line and mend.

MkDocs itself finds broken links, anchors and navigation entries (see ``scripts.build``).
This module holds what MkDocs lets pass: front matter that does not parse, two pages with one
title, a picture without alternative text, a picture or script from somebody else's server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
CODE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,}).*?^(?P=indent)(?P=fence)[ \t]*$"  # a fence
    r"|(?P<tick>`+)[^`].*?(?<!`)(?P=tick)(?!`)",  # a span in a line
    re.DOTALL | re.MULTILINE,
)
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\](?:\(<?(?P<src>[^)\s>]+)|\[(?P<label>[^\]]*)\])")
DEFINITION = re.compile(r"^ {0,3}\[(?P<label>[^\]]+)\]:\s*<?(?P<src>[^\s>]+)", re.MULTILINE)
TAG = re.compile(r"<(?P<name>img|script|iframe|link|source|video|audio)\b(?P<attributes>[^>]*)>", re.IGNORECASE)
FOREIGN_IN_TAG = re.compile(r"""\b(?:src|srcset|href)\s*=\s*["']?(?P<url>(?:https?:)?//[^"'\s>{]+)""")
FOREIGN_IN_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?(?P<url>(?:https?:)?//[^"')\s]+)""")


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: where it stands, what it is, and how to mend it.

    ``path`` is relative to the project; ``line`` counts from 1.
    """

    path: str
    line: int
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}\n    Mend: {self.mend}"


def read(root: Path, path: str) -> tuple[str, list[Problem]]:
    """Return the text of a file, empty if it cannot be read, and what keeps it from being read."""
    try:
        return (root / path).read_text(encoding="utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return "", [Problem(path, line, "this line is not UTF-8", "save the file as UTF-8")]
    except OSError as error:
        return "", [
            Problem(path, 1, f"the file cannot be read: {error.strerror}", f"bring it back: git checkout {path}")
        ]


def line_of(text: str, wanted: str, *, default: int = 1) -> int:
    """Return the number (from 1) of the first line of ``text`` that holds ``wanted``."""
    at = text.find(wanted)
    return text.count("\n", 0, at) + 1 if at >= 0 else default


def blank_code(text: str) -> str:
    """Return ``text`` with code fences and code spans replaced by spaces, line numbers unchanged."""
    return CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def front_matter(path: str, text: str) -> tuple[dict[str, Any], Problem | None]:
    """Read the YAML between the first two ``---`` lines of a page.

    Returns the fields (empty when they cannot be read) and the problem, if there is one.
    """
    match = FRONT_MATTER.match(text)
    if match is None:
        return {}, Problem(
            path, 1, "the page has no front matter", "start it with ---, a title:, a description:, and ---"
        )
    try:
        fields = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "it is not valid YAML"
        return {}, Problem(
            path,
            mark.line + 2 if mark else 1,
            f"the front matter does not parse: {what}",
            "write one `name: value` a line, and put a value that holds a colon in double quotes",
        )
    if not isinstance(fields, dict):
        return {}, Problem(path, 1, "the front matter is not a list of fields", "write one `name: value` a line")
    for name in ("title", "description"):
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            return fields, Problem(
                path, 1, f"the front matter has no {name}", f"add a line `{name}: …` that fits this page alone"
            )
    return fields, None


def images(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the alternative text and the address of each picture in Markdown."""
    defined = {match["label"].casefold(): match["src"] for match in DEFINITION.finditer(text)}
    for match in IMAGE.finditer(text):
        label = (match["label"] or match["alt"]).casefold()
        source = match["src"] or defined.get(label, "")
        if source:
            yield text.count("\n", 0, match.start()) + 1, match["alt"].strip(), source


def foreign(path: str, text: str) -> Iterator[Problem]:
    """Yield a problem for each picture, script, style or frame that another server would send."""
    found = [source for _, _, source in images(text) if re.match(r"(https?:)?//", source)]
    for tag in TAG.finditer(text):
        attributes = tag.group("attributes")
        if tag.group("name").lower() == "link" and "stylesheet" not in attributes and "icon" not in attributes:
            continue
        found += [match.group("url") for match in FOREIGN_IN_TAG.finditer(attributes)]
    if path.endswith((".css", ".html", ".svg")):
        found += [match.group("url") for match in FOREIGN_IN_CSS.finditer(text)]
    for url in found:
        yield Problem(
            path,
            line_of(text, url),
            f"{url} would be fetched from a third party",
            "copy the file into the project, if its license allows, and refer to the copy",
        )


def page_problems(path: str, text: str) -> Iterator[Problem]:
    """Yield the problems of one page, front matter aside."""
    visible = blank_code(text)
    for line, alternative, source in images(visible):
        if not alternative:
            yield Problem(
                path,
                line,
                f"the picture {source} has no alternative text",
                "say between the square brackets what the picture shows",
            )
    for tag in TAG.finditer(visible):
        if tag.group("name").lower() == "img" and not re.search(r"\balt\s*=", tag.group("attributes")):
            yield Problem(
                path,
                visible.count("\n", 0, tag.start()) + 1,
                "an <img> has no alt attribute",
                'add alt="…" that says what the picture shows',
            )
    yield from foreign(path, visible)


def problems(root: Path = ROOT) -> list[Problem]:
    """Return the problems of all pages and theme overrides below ``root``, in order of place."""
    found: list[Problem] = []
    seen: dict[tuple[str, str], str] = {}
    for file in sorted((root / "docs").rglob("*.md")):
        path = file.relative_to(root).as_posix()
        text, unreadable = read(root, path)
        if unreadable:
            found += unreadable
            continue
        fields, problem = front_matter(path, text)
        if problem:
            found.append(problem)
            continue
        for name in ("title", "description"):
            other = seen.setdefault((name, fields[name].strip().casefold()), path)
            if other != path:
                found.append(
                    Problem(
                        path,
                        line_of(text, f"{name}:"),
                        f"{other} has the same {name}, “{fields[name].strip()}”",
                        f"give one of the two pages another {name}",
                    )
                )
        found += page_problems(path, text)
    for file in sorted([*(root / "overrides").rglob("*"), *(root / "includes").rglob("*.md")]):
        if file.suffix in {".css", ".html", ".js", ".md", ".svg"}:
            path = file.relative_to(root).as_posix()
            text, unreadable = read(root, path)
            found += [*unreadable, *foreign(path, text)]
    config, unreadable = read(root, "mkdocs.yml")
    return sorted([*found, *unreadable, *config_problems(config)])


def config_problems(text: str) -> Iterator[Problem]:
    """Yield the problems of ``mkdocs.yml`` that MkDocs lets pass."""
    for key in re.finditer(r"^extra_(?:css|javascript):\n((?:[ \t]+.*\n?|\n)*)", text, re.MULTILINE):
        for url in re.findall(r"(?:https?:)?//\S+", key.group(1)):
            yield Problem(
                "mkdocs.yml",
                line_of(text, url),
                f"{url} would be fetched from a third party",
                "copy the file into overrides/assets/, if its license allows, and name the copy",
            )
    seen = set()
    for key in re.finditer(r"^(\w+):", text, re.MULTILINE):
        if key[1] in seen:
            line = text.count("\n", 0, key.start()) + 1
            yield Problem("mkdocs.yml", line, f"`{key[1]}` stands here a second time", "keep one of the two")
        seen.add(key[1])
