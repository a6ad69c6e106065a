"""What the settings read from environment variables.

A process with a wrong configuration must not start, whatever starts it. ``manage.py`` turns
``WrongVariable`` into one line; a server or a worker that meets it while it loads stops with it.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import Env

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


# --8<-- [start:read]
class WrongVariable(ImproperlyConfigured):
    """A variable is missing or malformed; the text is one line that names it."""


def read(name: str, parse: Callable[[str], Value], default: str | None = None) -> Value:
    """Return the environment variable ``name``, parsed.

    Args:
        name: The variable.
        parse: Turns its text into a value, or raises ValueError with the reason.
        default: The text to parse when the variable is not set; None if it has to be.

    Raises:
        WrongVariable: The variable is missing or malformed.
    """
    text = os.environ.get(name, default)
    if text is None:
        raise WrongVariable(
            f"{name} is not set. Set it, or DEBUG=true on your own machine."
        )
    try:
        return parse(text)
    except ValueError as error:
        raise WrongVariable(f"{name} is malformed: {error}.") from None


# --8<-- [end:read]


def boolean(text: str) -> bool:
    """Return whether ``text`` says yes; raise ValueError if it says neither yes nor no."""
    meanings = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in meanings:
        raise ValueError(f"{text!r} is neither true nor false")
    return meanings[text.lower()]


def words(text: str) -> list[str]:
    """Return the words of a list that is separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def origins(text: str) -> list[str]:
    """Return the origins of a list; raise ValueError for one that no browser sends."""
    found = words(text)
    for origin in found:
        parts = urlsplit(origin)
        alone = origin == f"{parts.scheme}://{parts.hostname}" + (
            f":{parts.port}" if parts.port else ""
        )
        if parts.scheme not in ("http", "https") or not alone:
            raise ValueError(f"{origin!r} is no origin; expected https://host")
    return found


def secret(text: str) -> str:
    """Return a secret key; raise ValueError if it is short enough to guess."""
    if len(text) < 50 or len(set(text)) < 5:
        raise ValueError(
            "it needs 50 characters or more, with at least 5 different ones"
        )
    return text


def database(text: str) -> dict[str, Any]:
    """Return Django's settings for the database at a URL.

    Raises:
        ValueError: The URL is no URL of SQLite, PostgreSQL, MySQL or MariaDB.
    """
    expected = (
        "expected sqlite:///file, postgres://user:password@host:port/name or mysql://…"
    )
    if not text.startswith(("sqlite://", "postgres://", "postgresql://", "mysql://")):
        raise ValueError(expected)
    config: dict[str, Any] = dict(
        Env.db_url_config(text)
    )  # ValueError for a port that is no number
    if not config.get("NAME"):
        raise ValueError(f"it names no database; {expected}")
    if config["ENGINE"] == "django.db.backends.mysql":
        # Without these the server may store other characters than it was given, or cut them.
        config["OPTIONS"] = {
            **config.get("OPTIONS", {}),
            "charset": "utf8mb4",
            "init_command": "SET sql_mode='STRICT_TRANS_TABLES', default_storage_engine=INNODB",
        }
    return config


def cache(text: str) -> dict[str, Any]:
    """Return Django's settings for the cache at a URL; raise ValueError for an unknown kind."""
    if not text.startswith(("redis://", "rediss://", "locmemcache://")):
        raise ValueError("expected redis://host:port/number or locmemcache://")
    with warnings.catch_warnings(action="ignore"):
        return dict(Env.cache_url_config(text))


def broker(text: str) -> str:
    """Return the URL of a message broker, or nothing; raise ValueError for any other text."""
    if text and not text.startswith(("redis://", "rediss://", "amqp://", "amqps://")):
        raise ValueError(
            "expected redis://host:port/number or amqp://user:password@host:port/name"
        )
    return text
