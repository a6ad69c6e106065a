"""Write the glossary page from the terms that are tooltips on every page.

    python -m scripts.glossary            write docs/about/glossary.md
    python -m scripts.glossary --check    fail if the page differs from the terms

The terms stand in ``includes/glossary.md``, one line each: ``*[TERM]: What it is``.
"""

from __future__ import annotations

import argparse
import re
import sys

from scripts.pages import ROOT, Problem

TERMS = ROOT / "includes" / "glossary.md"
PAGE = ROOT / "docs" / "about" / "glossary.md"
TERM = re.compile(r"^\*\[(?P<term>[^\]]+)\]: (?P<meaning>.+)$")
HEAD = """\
---
title: Glossary
description: The terms that the pages of this handbook use, each in one sentence.
search:
  boost: 0.5
---

<!-- Written by `make glossary` from includes/glossary.md: edit that file. -->

# Glossary

The same explanations appear as tooltips on the pages: point at a dotted term, or tap it.
"""


def read_terms(text: str) -> tuple[dict[str, str], list[Problem]]:
    """Read the lines of the glossary; return its terms with their meanings, and the lines that are wrong."""
    terms: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        match = TERM.match(line)
        path = TERMS.relative_to(ROOT).as_posix()
        if match and match["term"] not in terms:
            terms[match["term"]] = match["meaning"]
        elif match:
            problems.append(Problem(path, number, f"{match['term']} stands here twice", "keep one of the two lines"))
        elif line.strip():
            problems.append(Problem(path, number, "this is no glossary line", "write it as `*[TERM]: What it is`"))
    return terms, problems


def page(terms: dict[str, str]) -> str:
    """Return the glossary page: every term with its meaning, in the order of the alphabet."""
    entries = (f"\n**{term}**\n:   {terms[term]}.\n" for term in sorted(terms, key=str.casefold))
    return HEAD + "".join(entries)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Write the glossary page.")
    parser.add_argument("--check", action="store_true", help="fail if the page is not up to date")
    arguments = parser.parse_args()
    terms, problems = read_terms(TERMS.read_text(encoding="utf-8"))
    if arguments.check and not problems and PAGE.read_text(encoding="utf-8") != page(terms):
        name = PAGE.relative_to(ROOT).as_posix()
        problems.append(Problem(name, 1, "the page differs from includes/glossary.md", "run `make glossary`"))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not arguments.check and not problems:
        PAGE.write_text(page(terms), encoding="utf-8")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
