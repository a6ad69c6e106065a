"""The academy as a Django app."""

from django.apps import AppConfig


class AcademyConfig(AppConfig):
    """Gives the app the short label that its tables start with."""

    name = "lab.academy"
    label = "academy"
