"""The chapter on caching as a Django app: for its templates."""

from django.apps import AppConfig


class CachingConfig(AppConfig):
    """Lets Django find the templates of the chapter."""

    name = "lab.caching"
