"""What asyncio logs about its loop, for the tests of two chapters."""

from __future__ import annotations

import logging
import re


class Lines(logging.Handler):
    """Collects what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


def shortened(line: str) -> str:
    """Return a line of asyncio's log without the places and the times of one machine."""
    line = re.sub(r"(/[\w.-]+)+/(django/|tests/)", r"\2", line)
    line = re.sub(r"(\w+\.py):\d+", r"\1:…", line)
    line = re.sub(r" (wait_for|cb)=.* created at \S+?> took", "> took", line)
    line = re.sub(r" created at \S+?> took", "> took", line)
    return re.sub(r"took [\d.]+ seconds", "took … seconds", re.sub(r"Task-\d+", "Task-…", line))
