"""Run tests on SQLite, PostgreSQL and MariaDB: one after the other, each as the database ``default``."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.db import connections

from lab import environment
from scripts import services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

NAMES = ("sqlite", "postgresql", "mariadb")
started: dict[str, tuple[dict[str, Any], BaseDatabaseWrapper]] = {}


def start(name: str) -> tuple[dict[str, Any], BaseDatabaseWrapper]:
    """Return the settings of a server's test database and a connection to it, made once a process.

    Raises:
        scripts.services.Unavailable: There is no such server here.
    """
    if name not in started:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        config = {
            **environment.database(services.url(name)),
            "TEST": {"NAME": f"test_nexus_{worker}"},
            "CONN_HEALTH_CHECKS": True,
        }
        settings = connections.configure_settings({"default": config})["default"]
        connections.settings["default"] = settings
        del connections["default"]
        connections["default"].creation.create_test_db(verbosity=0, autoclobber=True)
        started[name] = settings, connections["default"]
    return started[name]


@contextmanager
def use(name: str) -> Iterator[None]:
    """Make a server's test database the database ``default`` of this process.

    Args:
        name: One of NAMES. SQLite is what is there anyway.
    """
    if name == "sqlite":
        yield
        return
    settings, connection = connections.settings["default"], connections["default"]
    try:
        connections.settings["default"], connections["default"] = start(name)
        yield
    finally:
        connections.settings["default"], connections["default"] = settings, connection


def address() -> str:
    """Return the URL of the test database that is ``default`` now, for another process or a driver of its own."""
    connection = connections["default"]
    name = "postgresql" if connection.vendor == "postgresql" else "mariadb"
    return urlsplit(services.url(name))._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


def stop() -> None:
    """Drop the test databases: a server that was given from outside outlives the tests."""
    before = connections.settings["default"], connections["default"]
    for settings, connection in started.values():
        connections.settings["default"], connections["default"] = settings, connection
        name = connection.settings_dict["NAME"]
        connection.close()
        connection.creation.destroy_test_db(name, verbosity=0)
    connections.settings["default"], connections["default"] = before
    started.clear()
