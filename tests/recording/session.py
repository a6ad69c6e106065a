"""A Python session: a recorded file whose lines after ``>>>`` are run again, with what they print today."""

from __future__ import annotations

import contextlib
import doctest
import io
import traceback
from typing import Any


def rerun(transcript: str, names: dict[str, Any]) -> str:
    """Return a session as it is when its statements are run now.

    To write a new session, write its statements after ``>>>`` and ``...`` and record it.

    Args:
        transcript: Statements and what they printed before, as ``python`` shows them.
        names: The namespace that the statements run in; it is changed.

    Raises:
        ValueError: The text holds no statement.
    """
    examples = doctest.DocTestParser().get_examples(transcript)
    if not examples:
        raise ValueError("a recorded session holds at least one line that starts with >>>")
    lines = []
    for number, example in enumerate(examples):
        source = example.source.rstrip("\n").split("\n")
        lines += [">>> " + source[0], *("... " + line if line else "..." for line in source[1:])]
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            try:
                exec(compile(example.source, f"<line {number + 1}>", "single"), names)  # noqa: S102  (the lab's own text)
            except Exception as error:
                print("Traceback (most recent call last):", "  ...", sep="\n")
                print("".join(traceback.format_exception_only(error)), end="")
        # A blank line ends the output of a session when a page runs it; the mark keeps it together.
        lines += [line or "<BLANKLINE>" for line in output.getvalue().splitlines()]
    return "\n".join(lines)
