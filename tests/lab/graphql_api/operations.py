"""Requests that pages quote, and answers as pages show them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from scripts.pages import ROOT

if TYPE_CHECKING:
    from lab.academy.models import User

WIDTH = 84
# Headers that say nothing of GraphQL.
EVERY_ANSWER = "X-Frame-Options|X-Content-Type-Options|Referrer-Policy|Cross-Origin-Opener-Policy|Content-Length"


def operation(name: str) -> str:
    """Return the text of lab/graphql_api/operations/<name>."""
    return (ROOT / "lab/graphql_api/operations" / name).read_text(encoding="utf-8")


def deep(levels: int) -> str:
    """Return a query that goes from a course to its lessons and back."""
    inner = "title"
    for _ in range(levels):
        inner = f"lessons {{ course {{ {inner} }} }}"
    return f'{{ course(slug: "python") {{ {inner} }} }}'


def doubling(number: int) -> str:
    """Return a small query in which each fragment spreads the next one twice."""
    parts = [f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(number - 1)]
    return " ".join(["{ ...F0 }", *parts, f"fragment F{number - 1} on Query {{ __typename }}"])


def shown(answer: Any, indent: str = "", key: str = "") -> str:
    """Return JSON over several lines, with what fits into one line in one line.

    Args:
        answer: What ``json.loads`` returns.
        indent: What stands before the first line.
        key: The key of the answer in the object around it, with quotes and colon.
    """
    line = indent + key + json.dumps(answer, ensure_ascii=False)
    if len(line) <= WIDTH or not isinstance(answer, dict | list) or not answer:
        return line
    deeper = indent + "  "
    if isinstance(answer, dict):
        parts = [shown(value, deeper, f"{json.dumps(name)}: ") for name, value in answer.items()]
    else:
        parts = [shown(value, deeper) for value in answer]
    start, end = "{}" if isinstance(answer, dict) else "[]"
    return f"{indent}{key}{start}\n" + ",\n".join(parts) + f"\n{indent}{end}"


def context(user: User | None = None) -> Any:
    """Return what ``schema.execute_sync`` needs to know who asks."""
    request = RequestFactory().post("/graphql/")
    request.user = user or AnonymousUser()
    return SimpleNamespace(request=request)
