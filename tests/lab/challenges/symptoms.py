"""What a failing call says, as a log shows it: the last line of its traceback."""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from django.db.utils import ConnectionHandler

from lab import environment
from scripts.pages import ROOT
from scripts.services import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def last_line(error: BaseException) -> str:
    """Return the type and the text of an error, as the last line of a traceback has them."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}: {error}"


def symptom(call: Callable[..., object], *arguments: object) -> str:
    """Return what a call raises; or, if it is there to show a log or an answer, the text that it returns.

    Raises:
        AssertionError: It does neither.
    """
    try:
        text = call(*arguments)
    except Unavailable:
        raise
    except Exception as error:
        *_, innermost = traceback.extract_tb(error.__traceback__)
        if isinstance(error, AssertionError) and Path(innermost.filename).is_relative_to(ROOT / "tests"):
            raise  # the test's own
        return last_line(error)
    assert isinstance(text, str), "nothing is raised"
    return text


def connect(url: str) -> object:
    """Let Django connect to a database that the settings do not name."""
    return ConnectionHandler({"default": environment.database(url)})["default"].cursor()


@contextmanager
def logged(name: str) -> Iterator[list[str]]:
    """Collect what a logger says, as the console of ``runserver`` shows it."""
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            lines.append(entry.getMessage())

    handler, logger = Collect(), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
