"""What two sides of an API agree on, held by functions that a test can run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator


# --8<-- [start:breaks]
def breaks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield what may break a client that was written against the old description."""
    for path, item in old["paths"].items():
        for method in sorted(item.keys() - new["paths"].get(path, {}).keys()):
            yield f"{method.upper()} {path} is gone"
    schemas = new["components"]["schemas"]
    for name, schema in old["components"]["schemas"].items():
        if name in schemas:
            yield from changed(name, schema, schemas[name])


def changed(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield what a client no longer finds, or now has to send."""
    was, now = old.get("properties", {}), new.get("properties", {})
    for field in sorted(was.keys() - now.keys()):
        yield f"{name}.{field} is gone"
    for field in sorted(was.keys() & now.keys()):
        if (before := was[field].get("type")) != (after := now[field].get("type")):
            yield f"{name}.{field} was {before}, is {after}"
    must, must_now = set(old.get("required", [])), set(new.get("required", []))
    if name.endswith("Request"):
        yield from (f"{name}.{field} must be sent" for field in sorted(must_now - must))
    else:
        left = sorted((must - must_now) & now.keys())
        yield from (f"{name}.{field} may be missing" for field in left)


# --8<-- [end:breaks]


# --8<-- [start:compare]
def compare(base: str, head: str) -> int:
    """Print what breaks between two files; return the exit status."""
    old, new = (yaml.safe_load(Path(file).read_bytes()) for file in (base, head))
    found = list(breaks(old, new))
    for change in found:
        print(change)
    return 1 if found else 0


# --8<-- [end:compare]


# --8<-- [start:unknown]
def told(text: str) -> set[str]:
    """Return what a text tells people to make."""
    return set(re.findall(r"(?:`|^\$ |^)make ([a-z]+)", text, re.MULTILINE))


def unknown_commands(text: str, makefile: str) -> set[str]:
    """Return what a text tells people to make, and what cannot be made."""
    return told(text) - set(re.findall(r"(?m)^([a-z]+):", makefile))


# --8<-- [end:unknown]


if __name__ == "__main__":
    sys.exit(compare(*sys.argv[1:]))
