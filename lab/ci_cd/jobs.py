"""What a matrix becomes, and what a cache gives back: GitHub's rules, in small."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Job = dict[str, Any]


# --8<-- [start:expand]
def expand(matrix: dict[str, Any]) -> list[Job]:
    """Return the jobs of a matrix, as GitHub makes them."""
    axes = {
        name: values
        for name, values in matrix.items()
        if name not in ("include", "exclude")
    }
    pairs = product(*axes.values()) if axes else []
    jobs = [dict(zip(axes, pair, strict=True)) for pair in pairs]
    for left_out in matrix.get("exclude", []):
        jobs = [job for job in jobs if not left_out.items() <= job.items()]
    made = len(jobs)  # what include adds is not extended itself
    for extra in matrix.get("include", []):
        on_axes = {name: extra[name] for name in extra if name in axes}
        fitting = [job for job in jobs[:made] if on_axes.items() <= job.items()]
        for job in fitting:
            job.update(extra)
        if not fitting:
            jobs.append(dict(extra))
    return jobs


# --8<-- [end:expand]


# --8<-- [start:cache]
@dataclass
class Cache:
    """Keeps what is saved under a key, and never writes over it."""

    kept: dict[str, str] = field(default_factory=dict)

    def restore(self, key: str, *prefixes: str) -> str | None:
        """Return what the key keeps, or the newest whose key begins so."""
        if key in self.kept:
            return self.kept[key]
        for prefix in (key, *prefixes):
            for known in reversed(self.kept):
                if known.startswith(prefix):
                    return self.kept[known]
        return None

    def save(self, key: str, content: str) -> None:
        """Keep content, unless the key keeps some already."""
        self.kept.setdefault(key, content)


# --8<-- [end:cache]


def hash_files(files: Iterable[Path]) -> str:
    """Return what ``hashFiles`` returns: a hash of the hashes of the files."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
