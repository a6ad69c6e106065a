"""How much code a quoted section is, for tables that compare ways to write the same thing."""

from __future__ import annotations

import ast
from textwrap import dedent

from scripts.pages import ROOT
from scripts.proof import sections


def lines_of_code(path: str, section: str) -> int:
    """Return how many lines of a section hold code: no blanks, no docstrings, no imports.

    Args:
        path: The Python file, from the root of the project.
        section: The name of the section.
    """
    text = (ROOT / path).read_text(encoding="utf-8")
    code = dedent("\n".join(text.splitlines()[number - 1] for number in sections(text)[section]))
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            left_out.update(range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            left_out.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return sum(bool(line.strip()) and number not in left_out for number, line in enumerate(code.splitlines(), 1))
