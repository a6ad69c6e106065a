"""Settings of a worker whose broker gives out again after a second what nobody has acknowledged."""

from tests.lab.served import *  # noqa: F403  (a settings module is a list of names)

CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 1}
