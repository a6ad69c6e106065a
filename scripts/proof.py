"""Every block on every page, with the kind of its proof, and what is not proven.

    python -m scripts.proof             the table of pages and kinds
    python -m scripts.proof --check     what breaks the rule of proof, each with file, line and mend
    python -m scripts.proof --touched   pages that quote code which differs from the last commit
    python -m scripts.proof --coverage  quoted lines that the tests of the lab did not run

The kinds:

    quoted    a named section of a file that tests run (--8<-- "lab/…:section")
    recorded  a file in lab/<chapter>/recorded/ that a test makes anew and compares
    run       Python in the page itself, run by the tests of the pages
    checked   a shell session, a configuration file, a query: run or parsed by the real tool
    wrong     a section whose name starts with "wrong_", with a test that it fails as the page says
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.pages import ROOT, Problem, line_of, read

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("quoted", "recorded", "run", "checked", "wrong")
RUN = {"python", "pycon"}
CHECKED = {"console", "json", "yaml", "toml", "graphql", "dockerfile"}
# Blocks that nothing can prove: "page:line" and the reason. The list may only shrink.
EXCEPTIONS: dict[str, str] = {}

FENCE = re.compile(
    r"^(?P<indent>[ ]*)(?P<fence>`{3,})[ ]*(?P<language>[\w+-]*)(?P<options>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.DOTALL | re.MULTILINE,
)
QUOTE = re.compile(r'^[ ]*-+8<-+ "(?P<path>[^":]+)(?::(?P<section>[^"]+))?"$', re.MULTILINE)
# What Markdown, or its extensions, may take for a fence or a quote, and the two above do not.
STRAY = re.compile(r"^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)?(?:(?P<fence>`{3,}|~{3,})|-+8<-+)", re.MULTILINE)
MARK = re.compile(r"-+8<-+ \[(?P<end>start|end):(?P<name>[\w-]+)\]")
TESTED = (  # what tests import, run or read
    "lab/",
    "tests/",
    "scripts/",
    ".github/",
    "Makefile",
    "pyproject.toml",
    "Dockerfile",
    ".dockerignore",
    "compose",
)
MEASURED = {".py", ".html"}  # of which coverage says which lines the tests of the lab ran
# Quoted text may be cut: a comment of three dots says so.
CUT = re.compile(r"^[ ]*(#|//|--)? ?\.\.\.[ ]*$", re.MULTILINE)


@dataclass(frozen=True)
class Quote:
    """A page shows a file, or a section of it. ``path`` and ``page`` are relative to the project."""

    page: str
    line: int
    path: str
    section: str

    @property
    def place(self) -> str:
        """The page and line, for messages."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, and how it is proven (None if it is not)."""

    page: str
    line: int
    language: str
    kind: str | None
    quotes: tuple[Quote, ...]


def pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the path, relative to ``root``, and the text of each page."""
    for file in sorted((root / "docs").rglob("*.md")):
        path = file.relative_to(root).as_posix()
        yield path, read(root, path)[0]  # scripts.build says which cannot be read


def quotes_in(page: str, text: str, first_line: int = 1) -> Iterator[Quote]:
    """Yield what ``text``, a part of a page that starts at ``first_line``, quotes."""
    for match in QUOTE.finditer(text):
        # A match may start with the indentation of its line, never with a line end.
        yield Quote(page, first_line + text.count("\n", 0, match.start()), match["path"], match["section"] or "")


def kind_of(language: str, body: str, quotes: tuple[Quote, ...]) -> str | None:
    """Return how a block is proven, or None if nothing proves it."""
    if quotes:
        if CUT.sub("", QUOTE.sub("", body)).strip():
            return None  # what stands beside the quote was typed by hand
        if any(quote.section.startswith("wrong_") for quote in quotes):
            return "wrong"
        return "recorded" if all("/recorded/" in quote.path for quote in quotes) else "quoted"
    if language in RUN:
        return "run"
    return "checked" if language in CHECKED else None


def blocks(root: Path = ROOT) -> Iterator[Block]:
    """Yield every fenced block of every page, and every quoted picture or text outside a fence."""
    for page, text in pages(root):
        inside: list[Quote] = []
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            quotes = tuple(quotes_in(page, match["body"], line + 1))
            inside += quotes
            yield Block(page, line, match["language"], kind_of(match["language"], match["body"], quotes), quotes)
        for quote in quotes_in(page, text):
            if quote not in inside:
                yield Block(page, quote.line, "", kind_of("", "", (quote,)), (quote,))


def quotes(root: Path = ROOT) -> list[Quote]:
    """Return everything that the pages quote."""
    return [quote for block in blocks(root) for quote in block.quotes]


def pages_that_quote(path: str, root: Path = ROOT) -> list[str]:
    """Return the places, ``page:line``, that quote a file or a section of it."""
    return [quote.place for quote in quotes(root) if quote.path == path]


def sections(text: str) -> dict[str, range]:
    """Return the named sections of a file: the lines, counted from 1, between the marks."""
    starts: dict[str, int] = {}
    ends: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.search(line)
        if mark:
            (ends if mark["end"] == "end" else starts).setdefault(mark["name"], number)
    return {name: range(start + 1, ends.get(name, start + 1)) for name, start in starts.items()}


def mark_problems(path: str, text: str) -> Iterator[Problem]:
    """Yield a problem for each section of a file without exactly one start and, after it, one end."""
    marks: dict[str, list[str]] = {}
    for mark in MARK.finditer(text):
        marks.setdefault(mark["name"], []).append(mark["end"])
    for name, kinds in marks.items():
        if kinds != ["start", "end"]:
            line = line_of(text, f"[{kinds[0]}:{name}]")
            what = f"the marks of the section {name} are: {', '.join(kinds)}"
            yield Problem(path, line, what, f"write [start:{name}] once, and [end:{name}] once below it")


@cache
def words_of_tests(folder: Path) -> frozenset[str]:
    """Return every text constant in the tests of a folder: the names of what they record or prove wrong."""
    words = set()
    for file in sorted(folder.rglob("*.py")):
        try:
            tree = ast.parse(file.read_bytes(), str(file))
        except SyntaxError as error:  # without its names, every recording would seem to be made by nothing
            sys.exit(str(Problem(str(file), error.lineno or 1, error.msg, "correct the Python there")))
        words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return frozenset(word for word in words if isinstance(word, str))


def tests_of(root: Path, path: str) -> Path:
    """Return the folder of the tests of a file: tests/lab/<chapter>, or what stands above it if it has no chapter."""
    parts = Path(path).parts
    return root.joinpath("tests", *parts[: min(len(parts) - 1, 2)]) if parts[0] == "lab" else root / "tests"


def problems(root: Path = ROOT) -> list[Problem]:
    """Return everything that breaks the rule of proof, in order of place."""
    return sorted({*block_problems(root), *quote_problems(root), *orphans(root)})


def block_problems(root: Path) -> Iterator[Problem]:
    """Yield a problem for each block of a sixth kind, and for each exception without need."""
    for page, text in pages(root):
        yield from strays(page, text)
    unproven = set()
    for block in blocks(root):
        if block.kind is not None:
            continue
        place = f"{block.page}:{block.line}"
        unproven.add(place)
        if place not in EXCEPTIONS:
            what = (
                "a quote with other text beside it" if block.quotes else f"a block in {block.language or 'no language'}"
            )
            yield Problem(
                block.page,
                block.line,
                f"nothing proves {what}",
                'quote a tested file or a recording (--8<-- "lab/…"), or use one of '
                + ", ".join(sorted(RUN | CHECKED)),
            )
    for place in EXCEPTIONS.keys() - unproven:
        yield Problem("scripts/proof.py", 1, f"the exception {place} is not needed", "take it out of EXCEPTIONS")


def strays(page: str, text: str) -> Iterator[Problem]:
    """Yield a problem for each fence and each quote that the rest of this module would not see."""
    fenced = [range(*match.span()) for match in FENCE.finditer(text)]
    for match in STRAY.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["fence"]:
            if not any(match.start() in span for span in fenced):
                mend = "indent with spaces alone, and open and close it with the same number of backticks"
                yield Problem(page, line, "nothing proves a fence that is written like this", mend)
        elif not QUOTE.match(text, match.start()):
            mend = 'write --8<-- "lab/…:section", with nothing before or after it'
            yield Problem(page, line, "nothing proves a quote that is written like this", mend)


def quote_problems(root: Path) -> Iterator[Problem]:
    """Yield one problem for each file or section that is quoted and does not exist, or is not proven."""
    wanted: dict[tuple[str, str], list[Quote]] = {}
    for quote in quotes(root):
        wanted.setdefault((quote.path, quote.section), []).append(quote)
    for (path, section), by in wanted.items():
        first, also = by[0], f" (also quoted: {', '.join(q.place for q in by[1:])})" if by[1:] else ""
        file = root / path
        if not file.is_file():
            mend = "make record, if a test makes it; otherwise quote a file that exists"
            yield Problem(first.page, first.line, f"there is no {path}{also}", mend)
            continue
        text, unreadable = read(root, path)
        if unreadable:
            yield from unreadable
            continue
        words = words_of_tests(tests_of(root, path))
        if not path.startswith(TESTED):
            mend = f"move it to one of {', '.join(TESTED)}, with a test that runs it"
            yield Problem(first.page, first.line, f"nothing tests {path}{also}", mend)
        elif (
            path.startswith("lab/")
            and "/recorded/" not in path
            and file.suffix not in MEASURED
            and not any(word.endswith(file.name) for word in words)
        ):
            mend = f"let a test in {tests_of(root, path).relative_to(root)} run or read it"
            yield Problem(first.page, first.line, f"no test names {path}{also}", mend)
        names = sections(text)
        if section and section not in names:
            there = ", ".join(names) or "none"
            yield Problem(
                first.page,
                first.line,
                f"{path} has no section {section}{also}",
                f"give it that name back or quote another; the sections there: {there}",
            )
        if section.startswith("wrong_") and f"{path}:{section}" not in words:
            yield Problem(
                first.page,
                first.line,
                f"no test shows that {path}:{section} is wrong{also}",
                f'mark a test in {tests_of(root, path).relative_to(root)} with @pytest.mark.wrong("{path}:{section}")',
            )


def orphans(root: Path) -> Iterator[Problem]:
    """Yield a problem for each section and recording that no page quotes, no test makes or no mark ends."""
    quoted = {(quote.path, quote.section) for quote in quotes(root)}
    for file in sorted([*(root / "lab").rglob("*"), *(root / "tests" / "lab").rglob("*")]):
        path = file.relative_to(root).as_posix()
        if (
            not file.is_file()
            or "/__pycache__/" in path
            or "/." in path
            or path.startswith(("lab/db.", "lab/staticfiles/"))
        ):
            continue
        if "/recorded/" in path:
            name = path.split("/recorded/")[1]
            # A measurement brings its picture and its table.
            brings = {str(Path(name).with_suffix(".json"))} if file.suffix in {".svg", ".md"} else set()
            if not ({name} | brings) & words_of_tests(tests_of(root, path)):
                folder = tests_of(root, path).relative_to(root)
                yield Problem(
                    path, 1, f"no test in {folder} makes this recording", f'write record("{name}", …), or delete it'
                )
            measurement = file.suffix == ".json" and file.with_suffix(".svg").exists()
            if not measurement and not any(p == path for p, _ in quoted):
                yield Problem(path, 1, "no page quotes this recording", "quote it, or delete it and what records it")
            continue
        text, _ = read(root, path)
        yield from mark_problems(path, text)
        for name in sections(text):
            if (path, name) not in quoted:
                line = line_of(text, f"[start:{name}]")
                yield Problem(path, line, f"no page quotes the section {name}", "quote it, or take out its two marks")


def table(root: Path = ROOT) -> str:
    """Return how many blocks of each kind each page has."""
    counts: dict[str, Counter[str]] = {page: Counter() for page, _ in pages(root)}
    for block in blocks(root):
        counts[block.page][block.kind or "UNPROVEN"] += 1
    total: Counter[str] = Counter()
    width = max(len(page) for page in counts)
    lines = [f"{'':{width}}" + "".join(f"{kind:>10}" for kind in KINDS)]
    for page, count in counts.items():
        if count:
            total += count
            lines.append(f"{page:{width}}" + "".join(f"{count[kind] or '':>10}" for kind in KINDS))
    lines.append(f"{'all pages':{width}}" + "".join(f"{total[kind]:>10}" for kind in KINDS))
    lines.append(f"{total.total()} blocks, {total['UNPROVEN']} unproven, {len(EXCEPTIONS)} exceptions")
    return "\n".join(lines)


def touched(root: Path = ROOT) -> list[str]:
    """Return a line for each quoted section that differs from the last commit; none without git."""
    # An author's own settings may change the prefixes, the colors and the quotes around names.
    command = ["git", "-c", "core.quotePath=false", "diff", "--unified=0", "--no-color", "--no-ext-diff"]
    try:
        run = subprocess.run(
            [*command, "--src-prefix=a/", "--dst-prefix=b/", "HEAD", "--", "lab", "tests/lab"],
            cwd=root,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError:
        return []
    changed: dict[str, set[int]] = {}
    path = ""
    for line in run.stdout.splitlines():
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/")
        hunk = re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)
        if hunk:
            start, count = int(hunk[1]), int(hunk[2] or 1)
            changed.setdefault(path, set()).update(range(start, start + max(count, 1)))
    by_section: dict[tuple[str, str], list[str]] = {}
    for quote in quotes(root):
        file = root / quote.path
        if quote.path in changed and file.is_file():
            lines = sections(read(root, quote.path)[0]).get(quote.section) if quote.section else None
            if lines is None or changed[quote.path] & set(lines):
                by_section.setdefault((quote.path, quote.section), []).append(quote.place)
    return [f"{path}{':' * bool(section)}{section} -> {', '.join(by)}" for (path, section), by in by_section.items()]


def uncovered(root: Path = ROOT) -> list[Problem]:
    """Return a problem for each quoted section with lines that the tests of the lab did not run."""
    import coverage

    measured = coverage.Coverage(config_file=str(root / "pyproject.toml"))
    measured.load()
    if not measured.get_data():
        return [Problem("lab", 1, "nothing has recorded which lines the tests run", "run make test")]
    found = []
    missing: dict[str, set[int]] = {}
    for quote in quotes(root):
        file = root / quote.path
        if not quote.path.startswith("lab/") or "/recorded/" in quote.path or file.suffix not in MEASURED:
            continue
        text, unreadable = read(root, quote.path)
        if unreadable:  # problems() says so
            continue
        if quote.path not in missing:
            try:
                missing[quote.path] = set(measured.analysis2(str(file))[3])
            except coverage.CoverageException:  # a template that no test renders is not known as one
                missing[quote.path] = set(range(1, text.count("\n") + 1))
        lines = sections(text).get(quote.section, range(0)) if quote.section else range(1, text.count("\n") + 2)
        not_run = sorted(missing[quote.path] & set(lines))
        if not_run:
            found.append(
                Problem(
                    quote.path,
                    not_run[0],
                    f"{quote.place} quotes {len(not_run)} line(s) that no test runs: {', '.join(map(str, not_run))}",
                    f"add a test to {tests_of(root, quote.path).relative_to(root)}",
                )
            )
    return sorted(set(found))


def main() -> int:
    """Print what the command line asks for; return 1 if something is not proven."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    group = parser.add_mutually_exclusive_group()
    for name in ("check", "touched", "coverage"):
        group.add_argument(f"--{name}", action="store_true")
    asked = parser.parse_args()
    if asked.touched:
        lines = touched()
        if lines:
            print(
                "Pages show what has changed since the last commit; `make record` records it anew:", *lines, sep="\n  "
            )
        return 0
    if not asked.check and not asked.coverage:
        print(table())
        return 0
    found = problems() if asked.check else uncovered()
    for problem in found:
        print(problem, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
