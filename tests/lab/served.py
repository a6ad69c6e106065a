"""Settings of the servers that tests start: the lab's in production, open to a load generator."""

import os

from lab.settings import *  # noqa: F403  (a settings module is a list of names)
from lab.settings import DATABASES, REST_FRAMEWORK

ROOT_URLCONF = os.environ.get("SERVED_URLS", "lab.urls")
REST_FRAMEWORK |= {"DEFAULT_THROTTLE_CLASSES": []}  # a load generator is one impatient visitor
SECURE_SSL_REDIRECT = False  # it comes without a proxy
LOGGING = {}
if pool := int(os.environ.get("SERVED_POOL", "0")):
    DATABASES["default"] |= {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": pool, "max_size": pool}}}
