"""What the exchanges of the API share: the headers to send, and what must not be recorded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.lab.people import bearer

if TYPE_CHECKING:
    from lab.academy.models import User


def sender(user: User) -> dict[str, str]:
    """Return the headers of a program that sends JSON as this user."""
    return {**bearer(user), "Content-Type": "application/json"}


def stable(text: str) -> str:
    """Return an exchange without its token and random identifiers, as on Django 5.2."""
    text = re.sub(r"(?m)^(Authorization: Bearer ).*", r"\1…", text)
    text = re.sub(r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:…", text)
    if "\nVary: origin\n" in text:  # Django 6 does not read the session here
        text = text.replace("\nVary: origin\n", "\n")
        text = re.sub(r"(X-Frame-Options: DENY\nContent-Length: \d+\n)", r"\1Vary: Cookie, origin\n", text)
    return text
