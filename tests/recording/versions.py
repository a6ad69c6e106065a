"""The stamp of a chapter: with which versions its recordings were made, and when."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.cache import caches
from django.db import connection
from kombu.connection import Connection
from redis import Redis

if TYPE_CHECKING:
    import datetime

PACKAGES = {
    "Celery": "celery",
    "coverage.py": "coverage",
    "Django": "django",
    "Django REST framework": "djangorestframework",
    "factory_boy": "factory-boy",
    "gunicorn": "gunicorn",
    "mypy": "mypy",
    "psycopg": "psycopg",
    "pytest": "pytest",
    "redis-py": "redis",
    "Strawberry": "strawberry-graphql",
    "Strawberry Django": "strawberry-graphql-django",
    "uv": "uv",
    "Uvicorn": "uvicorn",
    "zizmor": "zizmor",
}
LINE = re.compile(r"Recorded on (?P<date>\d{1,2} \w+ \d{4}) with (?P<what>.+)\.")


def server() -> str:
    """Return the name and version of the database server behind ``default``."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT 'SQLite ' || sqlite_version()")
        elif connection.vendor == "postgresql":
            cursor.execute("SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)")
        else:
            cursor.execute("SELECT version()")
        text = str(cursor.fetchone()[0])
    if connection.vendor == "mysql":
        name = "MariaDB" if "mariadb" in text.lower() else "MySQL"
        return f"{name} {text.split('-')[0]}"
    return text


def cache_server() -> str:
    """Return the name and version of the cache server behind ``default``: Valkey, or Redis."""
    info = Redis.from_url(caches["default"]._servers[0]).info("server")  # type: ignore[attr-defined]
    name = "valkey" if "valkey_version" in info else "redis"
    return f"{name.capitalize()} {info[f'{name}_version']}"


def broker_server(url: str) -> str:
    """Return the name and version of a broker that speaks AMQP: RabbitMQ."""
    with Connection(url) as broker:
        properties = broker.connection.server_properties
    return f"{properties['product']} {properties['version']}"


def machine() -> str:
    """Return what a measurement depends on: the system, the number of cores and the processor."""
    cpu = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.+)", cpu.read_text(encoding="utf-8")) if cpu.exists() else []
    processor = re.sub(r"\((R|TM)\)|@.*", "", models[0]).strip() if models else platform.machine()
    return f"{platform.system()}, {os.cpu_count()} cores, {' '.join(processor.split())}"


def stamp(*packages: str, servers: list[str], today: datetime.date) -> str:
    """Return the line that the pages of a chapter show.

    Args:
        packages: Names in PACKAGES.
        servers: What ``server()`` returned for each database.
        today: The day of the recording.
    """
    parts = [
        f"Python {platform.python_version()}",
        *(f"{name} {version(PACKAGES[name])}" for name in packages),
        *servers,
    ]
    return f"Recorded on {today.day} {today:%B %Y} with {', '.join(parts)}."
