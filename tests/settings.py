"""The lab's settings under test: independent of the environment, on SQLite in memory unless a test asks otherwise."""

import os

os.environ |= {"DEBUG": "true", "DATABASE_URL": "sqlite://:memory:"}
for _name in (
    "ALLOWED_HOSTS",
    "BEHIND_PROXY",
    "BROKER_URL",
    "CACHE_URL",
    "CORS_ORIGINS",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
):
    os.environ.pop(_name, None)

from lab.settings import *  # noqa: E402, F403  (a settings module is a list of names)
from lab.settings import INSTALLED_APPS, TEMPLATES  # noqa: E402

INSTALLED_APPS += ["tests.pages.samples"]
PASSWORD_HASHERS = ["tests.hashing.QuickHasher"]
TEMPLATES[0]["OPTIONS"] |= {"debug": True}  # so that the coverage of templates can be measured
