"""Settings of the server that the measurement asks: the lab's in production, with the URLs of the chapter."""

from lab.settings import *  # noqa: F403  (a settings module is a list of names)
from lab.settings import REST_FRAMEWORK

ROOT_URLCONF = "lab.same_endpoint.urls"
REST_FRAMEWORK |= {"DEFAULT_THROTTLE_CLASSES": []}  # the measurement is one impatient visitor
SECURE_SSL_REDIRECT = False  # it comes without a proxy
LOGGING = {}
