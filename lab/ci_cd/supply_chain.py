"""What a consumer compares in a statement about where a file comes from."""

from __future__ import annotations

import hashlib
from typing import Any


# --8<-- [start:origin]
class WrongOrigin(Exception):  # noqa: N818  (it reads as what it says)
    """The file is not what the statement is about, or not from where it should be."""


def check_origin(
    statement: dict[str, Any], file: bytes, repository: str, workflow: str
) -> None:
    """Compare a statement, whose signature has been checked, with what you expect.

    Raises:
        WrongOrigin: Something differs; the text says what.
    """
    digests = {subject["digest"]["sha256"] for subject in statement["subject"]}
    if hashlib.sha256(file).hexdigest() not in digests:
        raise WrongOrigin("the statement is about other bytes")
    build = statement["predicate"]["buildDefinition"]
    source = build["externalParameters"]["workflow"]
    if source["repository"] != f"https://github.com/{repository}":
        raise WrongOrigin(f"built in {source['repository']}")
    if source["path"] != workflow:
        raise WrongOrigin(f"built by {source['path']}")


# --8<-- [end:origin]


# --8<-- [start:wrong_origin]
def wrong_check_origin(statement: dict[str, Any], file: bytes) -> None:
    """Ask for a statement about these bytes, whoever made it."""
    digests = {subject["digest"]["sha256"] for subject in statement["subject"]}
    if hashlib.sha256(file).hexdigest() not in digests:
        raise WrongOrigin("the statement is about other bytes")


# --8<-- [end:wrong_origin]
