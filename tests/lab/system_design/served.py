"""Settings of servers that stand behind a balancer: where they keep sessions and files comes from outside."""

import os

from tests.lab.served import *  # noqa: F403  (a settings module is a list of names)
from tests.lab.served import STORAGES

SESSION_COOKIE_SECURE = False  # the tests' balancer speaks no TLS
SESSION_ENGINE = os.environ.get("SERVED_SESSIONS", "django.contrib.sessions.backends.db")
FILES = os.environ.get("SERVED_FILES", "/nonexistent")
STORAGES |= {"default": {**STORAGES["default"], "OPTIONS": {"location": FILES}}}  # type: ignore[dict-item]
