"""A quoted section as a file of its own, and as code that runs from its place in the lab."""

from __future__ import annotations

from typing import Any

from scripts.pages import ROOT
from scripts.proof import sections


def quoted(path: str, section: str) -> str:
    """Return the text of a section, as a page shows it."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[number - 1] for number in sections("\n".join(lines))[section]).strip("\n") + "\n"


def run(path: str, section: str, **known: Any) -> dict[str, Any]:
    """Run a section alone, under the lines that it has in its file and with what it may know; return its names."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    where = sections(text)[section]
    code = "\n" * (where.start - 1) + "\n".join(lines[number - 1] for number in where)
    names: dict[str, Any] = {**known, "__name__": section}
    exec(compile(code, str(ROOT / path), "exec", dont_inherit=True), names)  # noqa: S102  (the lab's own text)
    return names
