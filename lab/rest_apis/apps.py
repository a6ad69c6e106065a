"""The chapter as a Django app."""

from django.apps import AppConfig


class RestApisConfig(AppConfig):
    """The API that the chapter on REST APIs quotes."""

    name = "lab.rest_apis"
